/// The chunks of all files that hold the events from a position on, in order.
///
/// Used by one thread at a time.
final class SegmentSequence: @unchecked Sendable {  // handed over whole to the one thread that reads
    private let directory: JournalDirectory
    private let start: LogPosition
    private let checksTrailers: Bool
    private var current: SegmentChunks?
    private var last: LogPosition
    private var opened: LogPosition?
    /// True once the current plain file is known to be sealed, so that its end is its end.
    private var isFinal = false
    private var isFinished = false

    init(_ directory: JournalDirectory, from start: LogPosition, checkingTrailers: Bool) {
        self.directory = directory
        self.start = start
        self.last = start.previous
        self.checksTrailers = checkingTrailers
    }

    /// The next chunk; nil when no file holds the next position.
    func next() throws(JournalError) -> LineChunk? {
        while true {
            if let current, !isFinished || !current.tail.isEmpty {
                if !isFinished, let chunk = try current.next() {
                    note(chunk)
                    return chunk
                }
                // A plain file may have grown since its end was met. Once a successor stands it grows no more: it is
                // read to its end once again, and only then is a line without newline a torn one.
                if !isFinal, !current.name.isCompressed {
                    isFinal = try directory.segments().contains { $0.first > current.name.first }
                    if isFinal { continue }
                    isFinished = true
                }
                if let tail = current.takeTail() { return tail }
            }
            guard !isFinished, try openNext() else { return nil }
        }
    }

    /// After `next` has thrown for damaged gzip data: goes on behind it, at the next member that can be entered, else at
    /// the next file. False where there is none.
    func resume() throws(JournalError) -> Bool {
        guard let current else { return false }
        if try current.skipDamagedMember() { return true }
        guard let next = try directory.segments().first(where: { $0.first > current.name.first }) else { return false }
        last = next.first.previous
        self.current = nil
        return true
    }

    /// Keeps the position of a chunk's last event, to know which file comes next.
    private func note(_ chunk: LineChunk) {
        chunk.bytes.withUnsafeBufferPointer { bytes in
            var end = bytes.count - 1
            while end > 0 {
                let start = (bytes[..<end].lastIndex(of: 10) ?? -1) + 1
                let line = UnsafeBufferPointer(rebasing: bytes[start..<end])
                if let parsed = LogLine(line) {
                    if parsed.position > last { last = parsed.position }
                    return
                }
                if let gap = GapLine(line) {
                    if gap.last > last { last = gap.last }
                    return
                }
                end = start - 1
            }
        }
    }

    /// Opens the file that holds `last.next`, or the following one; false when there is none behind the current.
    private func openNext() throws(JournalError) -> Bool {
        for _ in 0..<100 {
            let names = try directory.segments()
            let wanted = last.next
            let name: SegmentName?
            if opened == nil {
                // The first file: the last that begins at or before the wanted position, else the first of all.
                name = names.last { $0.first <= wanted } ?? names.first
            } else {
                // An exact successor, else (something is missing) the next one, which the checker will name.
                name =
                    names.last { $0.first <= wanted && $0.first > (opened ?? .zero) && $0.first == wanted }
                    ?? names.first { $0.first > wanted }
            }
            guard let name else { return false }
            guard let file = try directory.open(name) else { continue }  // gone meanwhile: look again
            current = try SegmentChunks(
                name, file: file, skippingTo: opened == nil ? start : nil, checkingTrailers: checksTrailers)
            opened = name.first
            isFinal = false
            return true
        }
        return false
    }
}
