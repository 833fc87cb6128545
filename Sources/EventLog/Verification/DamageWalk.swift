import Crypto
import Glibc

/// Walks the lines of a journal and notes every one that is not what was written.
///
/// A broken line in the active segment may be the end of an unfinished write: it is damage only when a later line shows,
/// by recovery's rule, that the write before it was complete.
struct DamageWalk {
    private(set) var report = Verifier.Report()
    private let wanted: Set<LogPosition>
    private var file: SegmentName?
    private var lineNumber = 0
    /// The next line's position; nil before the first line, and behind a damage, where it is not known.
    private var expected: LogPosition?
    /// The greatest position that was met, for the words behind a damage.
    private var reached = LogPosition.zero
    private var lastTime = LogTime(microseconds: .min)
    private var chain = SegmentChain()
    private var carriesSynced: Bool?
    /// Where the newest command began whose last event has not come.
    private var unfinished: (file: SegmentName, byte: Int64, bytes: Int64)?
    /// Broken lines that may be the end of an unfinished write.
    private var torn: [JournalDamage] = []
    private var tornBytes: Int64 = 0

    init(wanted: Set<LogPosition>) { self.wanted = wanted }

    /// Looks at a chunk's lines. Throws only for a newer format.
    mutating func take(_ chunk: LineChunk) throws(JournalError) {
        if chunk.file != file { enter(chunk.file) }
        if chunk.isTail {
            breaks(
                .torn, at: chunk.offset, "the last line has no newline", in: chunk, bytes: Int64(chunk.bytes.count))
            return
        }
        var failure: JournalError?
        chunk.bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            do throws(JournalError) {
                var at = 0
                while at < bytes.count, let newline = memchr(base + at, 10, bytes.count - at) {
                    let end = UnsafePointer(newline.assumingMemoryBound(to: UInt8.self)) - base
                    let line = UnsafeBufferPointer(start: base + at, count: end - at)
                    try look(
                        at: line, withNewline: UnsafeRawBufferPointer(start: base + at, count: end - at + 1),
                        offset: chunk.offset + Int64(at), chunk)
                    at = end + 1
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// A stretch of a file could not be read at all.
    mutating func skipped(_ damage: JournalDamage) {
        confirmTorn()
        var damage = damage
        damage.position = expected ?? reached.next
        report.damage.append(damage)
        loseTrack()
    }

    /// The report, when no more chunks come.
    mutating func finish() -> Verifier.Report {
        if let first = torn.first {
            report.tail = UnreadTail(
                file: unfinished?.file.text ?? first.file, byte: unfinished?.byte ?? first.byte ?? 0,
                bytes: (unfinished?.bytes ?? 0) + tornBytes)
        } else if let unfinished {
            report.tail = UnreadTail(
                file: unfinished.file.text, byte: unfinished.byte, bytes: unfinished.bytes)
        }
        report.segments = chain.segments
        report.headSHA256 = chain.head
        return report
    }

    // MARK: - Lines

    private mutating func enter(_ next: SegmentName) {
        confirmTorn()
        if let open = unfinished {
            report.damage.append(
                JournalDamage(
                    kind: .torn, file: open.file.text, byte: open.byte, position: report.last.next,
                    detail: "the last command is unfinished, but another segment follows"))
            unfinished = nil
        }
        file = next
        lineNumber = 0
        carriesSynced = nil
    }

    private mutating func look(
        at bytes: UnsafeBufferPointer<UInt8>, withNewline: UnsafeRawBufferPointer, offset: Int64, _ chunk: LineChunk
    ) throws(JournalError) {
        lineNumber += 1
        if let line = LogLine(bytes) {
            if let first = torn.first {
                guard line.synced.map({ $0 >= first.position }) ?? false || carriesSynced == false else {
                    tornBytes += Int64(withNewline.count)
                    return
                }
                confirmTorn()
            }
            accept(line, withNewline, offset, chunk)
        } else if let header = SegmentHeader(bytes) {
            guard header.format <= SegmentHeader.currentFormat else {
                throw .newerFormat(found: header.format, supported: SegmentHeader.currentFormat, file: chunk.file.text)
            }
            confirmTorn()
            compare(header.first, at: offset, chunk)
            expected = header.first
            if let problem = chain.enter(header, withNewline) { note(.brokenChain, offset, problem, chunk) }
        } else if let gap = GapLine(bytes) {
            confirmTorn()
            compare(gap.first, at: offset, chunk)
            expected = gap.last.next
            reached = max(reached, gap.last)
            report.last = max(report.last, gap.last)
            chain.add(withNewline, endsCommand: true)
        } else if lineNumber == 1 {
            note(.header, offset, "the first line is no segment header", chunk)
            loseTrack()
        } else {
            breaks(
                .bitRot, at: offset, "the line's checksum is wrong", in: chunk, bytes: Int64(withNewline.count))
        }
    }

    private mutating func accept(
        _ line: LogLine, _ withNewline: UnsafeRawBufferPointer, _ offset: Int64, _ chunk: LineChunk
    ) {
        compare(line.position, at: offset, chunk)
        if line.time < lastTime { note(.reordered, offset, "its time is before the event before it", chunk) }
        if lineNumber == 2, !chunk.file.isCompressed { carriesSynced = line.synced != nil }
        lastTime = max(lastTime, line.time)
        expected = line.position.next
        reached = max(reached, line.position)
        report.events += 1
        if wanted.contains(line.position) { report.crcs[line.position] = line.crc }
        chain.add(withNewline, endsCommand: !line.hasMore)
        if line.hasMore {
            let begun = unfinished ?? (chunk.file, offset, 0)
            unfinished = (begun.file, begun.byte, begun.bytes + Int64(withNewline.count))
        } else {
            unfinished = nil
            report.last = max(report.last, line.position)
        }
    }

    /// Compares a position with the one that is due.
    private mutating func compare(_ found: LogPosition, at offset: Int64, _ chunk: LineChunk) {
        guard let due = expected else {
            if reached == .zero, report.damage.isEmpty, found > LogPosition(1) {
                note(.missingSegment, offset, "the journal begins at seq \(found)", chunk)
            }
            return
        }
        if found < due {
            note(.duplicate, offset, "seq \(found) stands there again", chunk)
        } else if found > due {
            note(
                lineNumber <= 1 ? .missingSegment : .reordered, offset,
                "seq \(found) follows, \(due) to \(found.previous) are missing", chunk)
        }
    }

    private mutating func note(_ kind: JournalDamage.Kind, _ offset: Int64, _ detail: String, _ chunk: LineChunk) {
        report.damage.append(
            JournalDamage(
                kind: kind, file: chunk.file.text, line: offset >= 0 ? lineNumber : nil,
                byte: offset >= 0 ? offset : nil, position: expected ?? reached.next, detail: detail))
        chain.isDamaged = true
    }

    private mutating func breaks(
        _ kind: JournalDamage.Kind, at offset: Int64, _ detail: String, in chunk: LineChunk, bytes: Int64
    ) {
        if chunk.isTail { lineNumber += 1 }
        let damage = JournalDamage(
            kind: kind, file: chunk.file.text, line: offset >= 0 ? lineNumber : nil, byte: offset >= 0 ? offset : nil,
            position: expected ?? reached.next, detail: detail)
        if chunk.file.isCompressed {
            report.damage.append(damage)
            loseTrack()
        } else {
            torn.append(damage)
            tornBytes += bytes
        }
    }

    /// What looked like an unfinished write is followed by something that was written after it: it is damage.
    private mutating func confirmTorn() {
        guard !torn.isEmpty else { return }
        report.damage += torn
        torn = []
        tornBytes = 0
        loseTrack()
    }

    private mutating func loseTrack() {
        expected = nil
        reached = max(reached, report.last)
        unfinished = nil
        chain.isDamaged = true
    }
}

/// The running hash of segments: each header must carry the hash of the segment before it.
private struct SegmentChain {
    private(set) var segments: UInt64 = 0
    /// True where bytes of the segment are known to be wrong: its hash says nothing new then.
    var isDamaged = false
    private var number: UInt64 = 0
    private var hash = SHA256()
    /// Lines of a command that is not whole yet: they belong to the segment, but not to the head hash.
    private var open: [UInt8] = []

    /// The hash of the newest segment through the last whole command, in hex; nil without segments.
    var head: String? { segments == 0 ? nil : hexString(hash.finalize()) }

    mutating func add(_ line: UnsafeRawBufferPointer, endsCommand: Bool) {
        if endsCommand, open.isEmpty {
            hash.update(bufferPointer: line)
            return
        }
        open.append(contentsOf: line)
        if endsCommand {
            hash.update(data: open)
            open.removeAll(keepingCapacity: true)
        }
    }

    /// Begins a segment; a sentence where it does not fit the one before.
    mutating func enter(_ header: SegmentHeader, _ line: UnsafeRawBufferPointer) -> String? {
        var problem: String?
        let previous = segments == 0 ? SegmentHeader.noPrevious : hexString(hash.finalize())
        if segments > 0 || header.segment == 1 {
            if isDamaged {
                problem = nil  // named already
            } else if segments > 0, header.segment != number + 1 {
                problem = "segment \(header.segment) follows segment \(number)"
            } else if header.previousSHA256 != previous {
                problem = "the hash of the segment before it is \(previous), the header says \(header.previousSHA256)"
            }
        }
        segments += 1
        number = header.segment
        isDamaged = false
        hash = SHA256()
        hash.update(bufferPointer: line)
        open = []
        return problem
    }
}
