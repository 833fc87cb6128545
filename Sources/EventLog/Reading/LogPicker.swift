/// Reads single events by their positions: enters the members that hold them, and looks at no other line.
///
/// For readers that know from an index where their events stand. Where the files do not hold them as expected, `events`
/// is nil: the caller reads everything instead, and the reader of everything names what is wrong.
public struct LogPicker: Sendable {
    private let directory: JournalDirectory

    /// Picks from a journal's directory.
    public init(_ directory: JournalDirectory) { self.directory = directory }

    /// What `body` makes of the events at the positions, which ascend; nil where one of them is not to be had.
    public func events<Made>(
        at positions: [LogPosition], _ body: (LogLine) throws(JournalError) -> Made
    ) throws(JournalError) -> [Made]? {
        var made: [Made] = []
        made.reserveCapacity(positions.count)
        var fruitless = 0
        while made.count < positions.count {
            let before = made.count
            let names = try directory.segments()
            guard let at = names.lastIndex(where: { $0.first <= positions[before] }) else { return nil }
            let end = at + 1 < names.count ? names[at + 1].first : LogPosition(.max)
            let group = positions[before...].prefix { $0 < end }
            // No event stands at the greatest of all numbers.
            guard !group.isEmpty else { return nil }
            if let file = try directory.open(names[at]) {
                defer { file.close() }
                let isWhole = try pick(Array(group), names[at], file) { line throws(JournalError) in
                    made.append(try body(line))
                }
                // Of a plain file that was just compressed or merged, another holds the rest.
                if !isWhole, made.count == before { fruitless += 1 }
            } else {
                fruitless += 1
            }
            guard fruitless < 20 else { return nil }
        }
        return made
    }

    /// Shows the wanted events of one file, in order, up to the first that it does not hold; false then.
    private func pick(
        _ wanted: [LogPosition], _ name: SegmentName, _ file: any File,
        _ body: (LogLine) throws(JournalError) -> Void
    ) throws(JournalError) -> Bool {
        var next = 0
        guard name.isCompressed, let map = try MemberMap(file) else {
            let chunks = try SegmentChunks(name, file: file, skippingTo: wanted[0])
            while next < wanted.count, let chunk = try chunks.next() {
                guard try show(wanted, &next, in: chunk.bytes, body) else { return false }
            }
            return next == wanted.count
        }
        while next < wanted.count {
            let before = next
            guard let index = map.index(of: wanted[next]), let lines = try map.lines(index, of: file),
                try show(wanted, &next, in: lines, body), next > before
            else { return false }
        }
        return true
    }

    /// Shows the wanted events that stand among some lines; false for a line that is not what was written.
    private func show(
        _ wanted: [LogPosition], _ next: inout Int, in lines: [UInt8],
        _ body: (LogLine) throws(JournalError) -> Void
    ) throws(JournalError) -> Bool {
        var failure: JournalError?
        var isRight = true
        lines.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            do throws(JournalError) {
                while next < wanted.count, let end = lineEnd(in: buffer, from: at) {
                    let line = UnsafeBufferPointer(start: base + at, count: end - at)
                    at = end + 1
                    guard let position = Self.position(line), position >= wanted[next] else { continue }
                    guard position == wanted[next], let event = LogLine(line), event.position == position else {
                        isRight = false
                        return
                    }
                    try body(event)
                    next += 1
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return isRight
    }

    /// The number behind `{"seq":`; nil for headers and gap lines.
    @inline(__always)
    private static func position(_ line: UnsafeBufferPointer<UInt8>) -> LogPosition? {
        guard line.count > 8, line[1] == 34, line[2] == 115, line[3] == 101, line[4] == 113, line[5] == 34,
            line[6] == 58
        else { return nil }
        var number: UInt64 = 0
        var at = 7
        while at < line.count, case let digit = line[at] &- 48, digit <= 9 {
            number = number &* 10 &+ UInt64(digit)
            at += 1
        }
        return LogPosition(number)
    }
}
