import CScan

/// Checks lines as they come (checksum, position, header, time) and lets events through command by command.
struct LineChecker {
    /// The last position let through or passed over by a gap line.
    private(set) var last: LogPosition
    /// What was left unread at the end.
    private(set) var unread: UnreadTail?

    private let from: LogPosition
    private var expected: LogPosition?
    private var file: SegmentName?
    private var lineNumber = 0
    /// Where the next line begins in the (uncompressed) file; negative where that is not known.
    private var nextOffset: Int64 = 0
    private var lastTime = LogTime(microseconds: .min)
    /// The lines of a command whose last event has not come yet, copied from an earlier chunk.
    private var pending: [UInt8] = []
    /// The entries of the chunk that is being checked; the last `unfinished` of them wait for their command's end.
    private var entries: [CheckedLines.Entry] = []
    private var spans: [cscan_span] = []
    private let scansMembers: Bool
    private let mostBytesOfCommand: Int
    private var gaps: [GapLine] = []
    private var unfinished = 0
    private var pendingOffset: Int64 = 0
    private var pendingFile: SegmentName?
    private var tornAt: JournalDamage?
    /// Whether the file's first event carries `synced`; nil where it was not read.
    private var carriesSynced: Bool?
    private var tornBytes: Int64 = 0

    /// `mostBytesOfCommand`: what goes on beyond it without an end is kept no further; no command is longer.
    init(from: LogPosition, scanningMembers: Bool = false, mostBytesOfCommand: Int = 64 << 20) {
        self.from = from
        self.mostBytesOfCommand = mostBytesOfCommand
        scansMembers = scanningMembers
        self.last = from.previous
    }

    /// The events of a chunk and of an unfinished command before it. Lines with wrong content are its `failure`.
    mutating func check(_ chunk: LineChunk) -> CheckedLines {
        var failure: JournalError?
        var bytes = chunk.bytes
        do throws(JournalError) {
            if chunk.file != file { try enter(chunk.file) }
            if chunk.isTail { try keepTorn(chunk) }
            if pending.count > mostBytesOfCommand { throw endless() }
        } catch { failure = error }
        // What waits goes on waiting: it is no part of these bytes.
        if chunk.isTail || failure != nil { return CheckedLines(bytes: [], last: last, failure: failure) }
        do throws(JournalError) {
            // The lines that wait come first, so that a command's events stand in one run of bytes.
            let carried = pending.count
            if carried > 0 {
                bytes = pending + chunk.bytes
                pending.removeAll(keepingCapacity: true)
            }
            nextOffset = chunk.offset + Int64(chunk.bytes.count)
            try checkLines(of: bytes, carried: carried, chunk)
        } catch { failure = error }
        return take(bytes, failure)
    }

    private mutating func enter(_ next: SegmentName) throws(JournalError) {
        // A torn end is only the end where no other file follows.
        if let tornAt { throw .damage(tornAt) }
        if unfinished > 0, let pendingFile {
            throw .damage(
                JournalDamage(
                    kind: .torn, file: pendingFile.text, byte: pendingOffset, position: last.next,
                    detail: "the last command is unfinished, but another segment follows"))
        }
        file = next
        lineNumber = 0
        nextOffset = 0
        carriesSynced = nil
    }

    private mutating func checkLines(
        of bytes: [UInt8], carried: Int, _ chunk: LineChunk
    ) throws(JournalError) {
        var failure: JournalError?
        bytes.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            do throws(JournalError) {
                var at = carried
                while let end = lineEnd(in: buffer, from: at) {
                    let line = UnsafeBufferPointer(start: base + at, count: end - at)
                    if let tornAt {
                        try judge(line, behind: tornAt)
                        tornBytes += Int64(line.count + 1)
                    } else {
                        try accept(line, startingAt: at, of: chunk, offset: chunk.offset + Int64(at - carried))
                        if tornAt != nil { tornBytes = Int64(line.count + 1) }
                    }
                    at = end + 1
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// What was checked, without the events of the command that is not whole yet: those are kept.
    private mutating func take(_ bytes: [UInt8], _ failure: JournalError?) -> CheckedLines {
        var lines = CheckedLines(bytes: bytes, last: last, failure: failure)
        swap(&lines.entries, &entries)
        swap(&lines.spans, &spans)
        swap(&lines.gaps, &gaps)
        guard unfinished > 0 else {
            entries.reserveCapacity(lines.entries.count)
            spans.reserveCapacity(lines.spans.count)
            return lines
        }
        var kept = lines.entries.suffix(unfinished)
        lines.entries.removeLast(unfinished)
        if let start = kept.first?.offset, let end = kept.last.map({ $0.offset + $0.count + 1 }) {
            pending = Array(bytes[Int(start)..<Int(end)])
            let firstSpan = kept.first?.firstSpan ?? 0
            spans = Array(lines.spans[Int(firstSpan)...])
            for index in kept.indices {
                kept[index].offset -= start
                kept[index].firstSpan -= firstSpan
            }
        }
        entries = Array(kept)
        return lines
    }

    /// Notes what is unread when no more chunks come.
    mutating func finish() {
        guard let file else { return }
        if unfinished > 0 {
            unread = UnreadTail(
                file: file.text, byte: pendingOffset, bytes: Int64(pending.count) + tornBytes)
        } else if let tornAt {
            unread = UnreadTail(file: file.text, byte: tornAt.byte ?? 0, bytes: tornBytes)
        }
    }

    @inline(__always)
    private mutating func accept(
        _ bytes: UnsafeBufferPointer<UInt8>, startingAt start: Int, of chunk: LineChunk, offset: Int64
    ) throws(JournalError) {
        lineNumber += 1
        guard let line = LogLine(bytes) else { return try acceptFrame(bytes, at: offset, of: chunk) }
        if let expected, line.position != expected {
            throw wrongPosition(line.position, expected: expected, at: offset)
        }
        if expected == nil, line.position > from { throw missing(before: line.position, at: offset) }
        expected = line.position.next
        if lineNumber <= 2 {
            // Who begins in the middle of a file does not meet its header.
            if lineNumber == 1, offset == 0 { throw damage(.header, at: 0, Self.noHeader) }
            if lineNumber == 2, !chunk.file.isCompressed { carriesSynced = line.synced != nil }
        }
        if line.time < lastTime {
            throw damage(.reordered, at: offset, "its time is before the event before it")
        }
        lastTime = line.time
        guard line.position >= from else { return }
        var entry = CheckedLines.Entry(
            position: line.position, time: line.time, crc: line.crc, offset: UInt32(start),
            count: UInt32(bytes.count), bodyStart: UInt16(line.bodyStart), hasMore: line.hasMore)
        if scansMembers { scanMembers(of: line, into: &entry) }
        entries.append(entry)
        if line.hasMore {
            if unfinished == 0 {
                pendingOffset = offset
                pendingFile = file
            }
            unfinished += 1
        } else {
            unfinished = 0
            last = line.position
        }
    }

    /// Notes where the line's members stand. Of a line that is broken, or has too many, nothing: who folds it will see.
    @inline(__always)
    private mutating func scanMembers(of line: LogLine, into entry: inout CheckedLines.Entry) {
        guard let base = line.bytes.baseAddress else { return }
        withUnsafeTemporaryAllocation(of: cscan_span.self, capacity: Self.mostSpans) { found in
            let count = cscan_members(
                base, base + line.bodyStart, base + (line.bytes.count - LogLine.checksumBytes), found.baseAddress,
                Self.mostSpans)
            guard count > 0 else { return }
            entry.firstSpan = UInt32(spans.count)
            entry.spanCount = UInt8(count)
            spans.append(contentsOf: UnsafeBufferPointer(rebasing: found[..<count]))
        }
    }

    /// Few enough for the stack.
    private static let mostSpans = 40

    /// A line that is no event: a header, a gap line, or damage.
    private mutating func acceptFrame(
        _ bytes: UnsafeBufferPointer<UInt8>, at offset: Int64, of chunk: LineChunk
    ) throws(JournalError) {
        if chunk.file.mayHoldHeader(inLine: lineNumber), let header = SegmentHeader(bytes) {
            guard header.format <= SegmentHeader.currentFormat else {
                throw .newerFormat(
                    found: header.format, supported: SegmentHeader.currentFormat, file: chunk.file.text)
            }
            if let expected, header.first != expected {
                throw wrongPosition(header.first, expected: expected, at: offset)
            }
            if expected == nil, header.first > from { throw missing(before: header.first, at: offset) }
            if expected == nil { expected = header.first }
            return
        }
        if let gap = GapLine(bytes) {
            if lineNumber == 1, offset == 0 { throw damage(.header, at: 0, Self.noHeader) }
            if let expected, gap.first != expected { throw wrongPosition(gap.first, expected: expected, at: offset) }
            if expected == nil, gap.first > from { throw missing(before: gap.first, at: offset) }
            expected = gap.last.next
            // What is missing may be the end of a command: what stands of it is all there is.
            unfinished = 0
            if gap.last >= from {
                gaps.append(gap)
                if gap.last > last { last = gap.last }
            }
            return
        }
        if chunk.file.isCompressed || lineNumber == 1 {
            throw damage(
                lineNumber == 1 ? .header : .bitRot, at: offset,
                lineNumber == 1 ? Self.noHeader : "the line's checksum is wrong")
        }
        // In a plain file this may be the end that the next start cuts: damage only where another file follows.
        tornAt = JournalDamage(
            kind: .bitRot, file: chunk.file.text, line: lineNumber, byte: offset, position: expected ?? from,
            detail: SegmentHeader(bytes) == nil ? "the line's checksum is wrong" : Self.secondHeader)
    }

    /// Looks at a line behind a broken one: the same rule as recovery's tells an unsynced write from bit rot.
    private func judge(_ bytes: UnsafeBufferPointer<UInt8>, behind torn: JournalDamage) throws(JournalError) {
        guard let line = LogLine(bytes) else { return }
        if let synced = line.synced, synced >= torn.position { throw .damage(torn) }
        if carriesSynced == false { throw .damage(torn) }
    }

    private func endless() -> JournalError {
        .damage(
            JournalDamage(
                kind: .bitRot, file: pendingFile?.text ?? "", byte: pendingOffset < 0 ? nil : pendingOffset,
                position: last.next, detail: "a command of more than \(mostBytesOfCommand) bytes has no end"))
    }

    static let noHeader = "the first line is no segment header"
    static let secondHeader = "a second segment header stands there, which only a compressed file can have"

    /// Of a damage that ended the reading of a file: the place behind the last line that was read.
    func placed(_ damage: JournalDamage) -> JournalDamage {
        guard damage.line == nil, damage.byte == nil else { return damage }
        var damage = damage
        if damage.file == file?.text {
            damage.position = expected ?? damage.position
            if nextOffset >= 0 { (damage.line, damage.byte) = (lineNumber + 1, nextOffset) }
        } else if expected.map({ $0 == damage.position }) ?? (from <= damage.position) {
            (damage.line, damage.byte) = (1, 0)
        }
        return damage
    }

    private mutating func keepTorn(_ chunk: LineChunk) throws(JournalError) {
        if lineNumber == 0, chunk.offset == 0 {
            // A segment gets its name with its header: no start cuts it.
            lineNumber = 1
            throw damage(.header, at: 0, Self.noHeader)
        }
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
            .missingSegment, at: offset,
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
