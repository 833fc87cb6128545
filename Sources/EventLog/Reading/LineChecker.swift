import Glibc

/// Checks lines as they come (checksum, position, header, time) and shows events command by command.
struct LineChecker {
    /// The last position shown or passed over by a gap line.
    private(set) var lastShown: LogPosition
    /// What was left unread at the end.
    private(set) var unread: UnreadTail?

    private let from: LogPosition
    private var expected: LogPosition?
    private var file: SegmentName?
    private var lineNumber = 0
    private var lastTime = LogTime(microseconds: .min)
    /// Copies of the lines of a command whose last event has not come yet, each with its newline.
    private var pending: [UInt8] = []
    private var pendingOffset: Int64 = 0
    private var pendingFile: SegmentName?
    private var tornAt: JournalDamage?
    /// Whether the file's first event carries `synced`; nil where it was not read.
    private var carriesSynced: Bool?
    private var tornBytes: Int64 = 0

    init(from: LogPosition) {
        self.from = from
        self.lastShown = from.previous
    }

    /// Shows the events of a chunk; false when `body` asked to stop.
    mutating func show(
        _ chunk: LineChunk, to body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        if chunk.file != file {
            // A torn end is only the end where no other file follows.
            if let tornAt { throw .damage(tornAt) }
            if !pending.isEmpty, let pendingFile {
                throw .damage(
                    JournalDamage(
                        kind: .torn, file: pendingFile.text, byte: pendingOffset, position: lastShown.next,
                        detail: "the last command is unfinished, but another segment follows"))
            }
            file = chunk.file
            lineNumber = 0
            carriesSynced = nil
        }
        if chunk.isTail {
            keepTorn(chunk)
            return true
        }
        var failure: JournalError?
        var goesOn = true
        chunk.bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            do throws(JournalError) {
                var at = 0
                while goesOn, at < bytes.count {
                    guard let newline = memchr(base + at, 10, bytes.count - at) else { break }
                    let end = UnsafePointer(newline.assumingMemoryBound(to: UInt8.self)) - base
                    let line = UnsafeBufferPointer(start: base + at, count: end - at)
                    if let tornAt {
                        try judge(line, behind: tornAt)
                        tornBytes += Int64(line.count + 1)
                    } else {
                        goesOn = try accept(line, at: chunk.offset + Int64(at), of: chunk, to: body)
                        if tornAt != nil { tornBytes = Int64(line.count + 1) }
                    }
                    at = end + 1
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return goesOn
    }

    /// Notes what is unread when no more chunks come.
    mutating func finish() {
        guard let file else { return }
        if !pending.isEmpty {
            unread = UnreadTail(
                file: file.text, byte: pendingOffset, bytes: Int64(pending.count) + tornBytes)
        } else if let tornAt {
            unread = UnreadTail(file: file.text, byte: tornAt.byte ?? 0, bytes: tornBytes)
        }
    }

    @inline(__always)
    private mutating func accept(
        _ bytes: UnsafeBufferPointer<UInt8>, at offset: Int64, of chunk: LineChunk,
        to body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        lineNumber += 1
        guard let line = LogLine(bytes) else {
            return try acceptFrame(bytes, at: offset, of: chunk)
        }
        if let expected, line.position != expected {
            throw wrongPosition(line.position, expected: expected, at: offset)
        }
        if expected == nil, line.position > from { throw missing(before: line.position, at: offset) }
        expected = line.position.next
        if lineNumber == 2, !chunk.file.isCompressed { carriesSynced = line.synced != nil }
        if line.time < lastTime {
            throw damage(.reordered, at: offset, "its time is before the event before it")
        }
        lastTime = line.time
        guard line.position >= from else { return true }
        if line.hasMore {
            if pending.isEmpty {
                pendingOffset = offset
                pendingFile = file
            }
            pending.append(contentsOf: bytes)
            pending.append(10)
            return true
        }
        if !pending.isEmpty, try !showPending(to: body) { return false }
        lastShown = line.position
        return try body(line)
    }

    private mutating func showPending(to body: (LogLine) throws(JournalError) -> Bool) throws(JournalError) -> Bool {
        let lines = pending
        pending.removeAll(keepingCapacity: true)
        var failure: JournalError?
        var goesOn = true
        lines.withUnsafeBufferPointer { bytes in
            var at = 0
            do throws(JournalError) {
                while goesOn, at < bytes.count, let end = bytes[at...].firstIndex(of: 10) {
                    if let line = LogLine(UnsafeBufferPointer(rebasing: bytes[at..<end])) {
                        lastShown = line.position
                        goesOn = try body(line)
                    }
                    at = end + 1
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        return goesOn
    }

    /// A line that is no event: a header, a gap line, or damage.
    private mutating func acceptFrame(
        _ bytes: UnsafeBufferPointer<UInt8>, at offset: Int64, of chunk: LineChunk
    ) throws(JournalError) -> Bool {
        if let header = SegmentHeader(bytes) {
            guard header.format <= SegmentHeader.currentFormat else {
                throw .newerFormat(
                    found: header.format, supported: SegmentHeader.currentFormat, file: chunk.file.text)
            }
            if let expected, header.first != expected {
                throw wrongPosition(header.first, expected: expected, at: offset)
            }
            if expected == nil, header.first > from { throw missing(before: header.first, at: offset) }
            if expected == nil { expected = header.first }
            return true
        }
        if let gap = GapLine(bytes) {
            if let expected, gap.first != expected { throw wrongPosition(gap.first, expected: expected, at: offset) }
            expected = gap.last.next
            if gap.last > lastShown { lastShown = gap.last }
            return true
        }
        if chunk.file.isCompressed || lineNumber == 1 {
            throw damage(
                lineNumber == 1 ? .header : .bitRot, at: offset,
                lineNumber == 1 ? "the first line is no segment header" : "the line's checksum is wrong")
        }
        // In a plain file this may be the end that the next start cuts: damage only where another file follows.
        tornAt = JournalDamage(
            kind: .bitRot, file: chunk.file.text, line: lineNumber, byte: offset, position: expected ?? from,
            detail: "the line's checksum is wrong")
        return true
    }

    /// Looks at a line behind a broken one: the same rule as recovery's tells an unsynced write from bit rot.
    private func judge(_ bytes: UnsafeBufferPointer<UInt8>, behind torn: JournalDamage) throws(JournalError) {
        guard let line = LogLine(bytes) else { return }
        if let synced = line.synced, synced >= torn.position { throw .damage(torn) }
        if carriesSynced == false { throw .damage(torn) }
    }

    private mutating func keepTorn(_ chunk: LineChunk) {
        if tornAt == nil {
            tornAt = JournalDamage(
                kind: .torn, file: chunk.file.text, line: lineNumber + 1, byte: chunk.offset,
                position: expected ?? from, detail: "the last line has no newline")
        }
        tornBytes += Int64(chunk.bytes.count)
    }

    private func wrongPosition(_ found: LogPosition, expected: LogPosition, at offset: Int64) -> JournalError {
        if found < expected { return damage(.duplicate, at: offset, "seq \(found) stands there again") }
        return damage(
            lineNumber <= 1 ? .missingSegment : .reordered, at: offset,
            "seq \(found) follows, \(expected) to \(found.previous) are missing")
    }

    private func missing(before found: LogPosition, at offset: Int64) -> JournalError {
        damage(
            .missingSegment, at: offset, "the journal begins at seq \(found): \(from) to \(found.previous) are missing")
    }

    private func damage(_ kind: JournalDamage.Kind, at offset: Int64, _ detail: String) -> JournalError {
        .damage(
            JournalDamage(
                kind: kind, file: file?.text ?? "", line: offset >= 0 ? lineNumber : nil,
                byte: offset >= 0 ? offset : nil, position: expected ?? from, detail: detail))
    }
}
