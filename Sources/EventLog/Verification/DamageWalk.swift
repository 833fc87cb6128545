/// Walks the lines of a journal and notes every one that is not what was written.
///
/// A broken line in the active segment may be the end of an unfinished write: it is damage only when a later line shows,
/// by recovery's rule, that the write before it was complete.
struct DamageWalk {
    private(set) var report = Verifier.Report()
    private let wanted: Set<LogPosition>
    private var file: SegmentName?
    private var lineNumber = 0
    /// Where the next line begins in the (uncompressed) file; negative where that is not known.
    private var nextOffset: Int64 = 0
    /// The first broken line of a compressed file within a member's length: its damage, and where it stands.
    private var brokenAt: (damage: Int, byte: Int64)?
    /// The last event that stood there again: of a stretch of them only the first is told.
    private var lastAgain: LogPosition?
    /// Events that did not stand where they were due, with the damage that says so and how many of them came later.
    private var absent: [(range: ClosedRange<UInt64>, damage: Int, later: UInt64)] = []
    /// The next line's position; nil before the first line, and behind a damage, where it is not known.
    private var expected: LogPosition?
    /// The greatest position that was met, for the words behind a damage.
    private var reached = LogPosition.zero
    private var lastTime = LogTime(microseconds: .min)
    private var chain = SegmentChain()
    private let anchors: [Anchor]
    /// What the journal gives at the anchors' positions.
    private var headsAtAnchors: [LogPosition: String] = [:]
    /// The position that the journal may begin at: behind the history that was discarded.
    private let begins: LogPosition
    private var notes = RepairNotes()
    /// Headers whose hash is another than that of the segment before them: a later note may tell why.
    private var links: [(segment: UInt64, found: String, hasGap: Bool, damage: JournalDamage)] = []
    private var carriesSynced: Bool?
    /// Where the newest command began whose last event has not come.
    private var unfinished: (file: SegmentName, byte: Int64, bytes: Int64)?
    /// Broken lines that may be the end of an unfinished write.
    private var torn: [JournalDamage] = []
    private var tornBytes: Int64 = 0

    init(wanted: Set<LogPosition>, anchors: [Anchor], begins: LogPosition) {
        self.wanted = wanted
        self.anchors = anchors
        self.begins = begins
    }

    /// Looks at a chunk's lines. Throws only for a newer format.
    mutating func take(
        _ chunk: LineChunk, _ judge: (LogLine) -> String? = { _ in nil }
    ) throws(JournalError) {
        if chunk.file != file { enter(chunk.file) }
        if chunk.isTail {
            if lineNumber == 0, chunk.offset == 0 {
                // A segment gets its name with its header: no start cuts it.
                lineNumber = 1
                note(.header, 0, LineChecker.noHeader, chunk)
                return loseTrack()
            }
            breaks(
                .torn, at: chunk.offset, "the last line has no newline", in: chunk, bytes: Int64(chunk.bytes.count))
            return
        }
        var failure: JournalError?
        chunk.bytes.withUnsafeBufferPointer { bytes in
            guard let base = bytes.baseAddress else { return }
            do throws(JournalError) {
                var at = 0
                while let end = lineEnd(in: bytes, from: at) {
                    let line = UnsafeBufferPointer(start: base + at, count: end - at)
                    try look(
                        at: line, withNewline: UnsafeRawBufferPointer(start: base + at, count: end - at + 1),
                        offset: chunk.offset + Int64(at), chunk, judge)
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
        if damage.file != file?.text { (lineNumber, nextOffset, brokenAt) = (0, 0, nil) }
        damage.position = expected ?? reached.next
        if nextOffset >= 0 { (damage.line, damage.byte) = (lineNumber + 1, nextOffset) }
        // One wrong byte shows as a broken line, in each line that repeats it, and once more in the sum at its member's end.
        if let broken = brokenAt, nextOffset >= 0, nextOffset - broken.byte < Self.memberBytes {
            if !absent.contains(where: { $0.damage > broken.damage }) {
                let later = report.damage.suffix(from: broken.damage + 1)
                report.damage.replaceSubrange(
                    (broken.damage + 1)..., with: later.filter { $0.kind != .bitRot || $0.file != damage.file })
            }
        } else {
            report.damage.append(damage)
        }
        brokenAt = nil
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
        for gone in absent where gone.later > 0 {
            guard gone.later > gone.range.upperBound - gone.range.lowerBound else {
                report.damage[gone.damage].detail += "; some of them stand behind it"
                continue
            }
            report.damage[gone.damage].kind = .reordered
            report.damage[gone.damage].detail =
                "seq \(gone.range.upperBound + 1) stands before \(gone.range.lowerBound) to \(gone.range.upperBound)"
        }
        report.segments = chain.segments
        report.headSHA256 = chain.head
        settleLinks()
        settleAnchors()
        return report
    }

    /// A segment that repair changed is not what its successor says: known where a note names its hash as it is now, or
    /// where it has a gap of which no note tells yet.
    private mutating func settleLinks() {
        for link in links {
            let noted = notes.segments[link.segment]
            if noted == link.found {
                if link.hasGap { continue }
                var known = link.damage
                known.kind = .gap
                known.detail += "; repair has noted that it is taken as it stands"
                report.gaps.append(known)
            } else if noted != nil || !link.hasGap {
                report.damage.append(link.damage)
            }
        }
        for index in report.gaps.indices where report.gaps[index].detail.hasPrefix(Self.gapWords) {
            let gap = report.gaps[index]
            if !notes.gaps.contains(where: { $0.first == gap.position }) {
                report.gaps[index].detail += "; no note tells of it yet: the next start or 'manager repair' writes it"
            }
        }
    }

    /// More than a member's lines take.
    private static let memberBytes = Int64(2 * GzipMember.targetBytes)

    private static let gapWords = "repair took out"

    private mutating func settleAnchors() {
        for anchor in anchors {
            let found = headsAtAnchors[anchor.position]
            if found == anchor.sha256 {
                report.anchors.append(anchor)
                continue
            }
            let detail: String
            if let found {
                detail = "the journal gives \(found) there: something up to this event was changed"
            } else if anchor.position > report.last {
                detail = "the journal ends at seq \(report.last)"
            } else {
                detail = "its line is missing or broken"
            }
            report.damage.append(
                JournalDamage(
                    kind: .anchor, file: file?.text ?? "", position: anchor.position, detail: detail))
        }
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
        nextOffset = 0
        brokenAt = nil
        carriesSynced = nil
    }

    private mutating func look(
        at bytes: UnsafeBufferPointer<UInt8>, withNewline: UnsafeRawBufferPointer, offset: Int64, _ chunk: LineChunk,
        _ judge: (LogLine) -> String?
    ) throws(JournalError) {
        lineNumber += 1
        nextOffset = offset >= 0 ? offset + Int64(withNewline.count) : -1
        if let line = LogLine(bytes) {
            refuseHeaderless(offset, chunk)
            if let first = torn.first {
                guard line.synced.map({ $0 >= first.position }) ?? false || carriesSynced == false else {
                    tornBytes += Int64(withNewline.count)
                    return
                }
                confirmTorn()
            }
            accept(line, withNewline, offset, chunk)
            if report.unfoldable.count < Verifier.mostDamages, let problem = judge(line) {
                report.unfoldable.append((line.position, problem))
            }
        } else if chunk.file.mayHoldHeader(inLine: lineNumber), let header = SegmentHeader(bytes) {
            guard header.format <= SegmentHeader.currentFormat else {
                throw .newerFormat(found: header.format, supported: SegmentHeader.currentFormat, file: chunk.file.text)
            }
            confirmTorn()
            compare(header.first, at: offset, chunk)
            expected = header.first
            take(chain.enter(header, withNewline), offset, chunk)
            if header.segment == 1 { keepHead(at: .zero) }
        } else if let gap = GapLine(bytes) {
            refuseHeaderless(offset, chunk)
            confirmTorn()
            compare(gap.first, at: offset, chunk)
            expected = gap.last.next
            reached = max(reached, gap.last)
            report.last = max(report.last, gap.last)
            unfinished = nil
            chain.add(withNewline, endsCommand: true)
            chain.hasGap = true
            keepHead(at: gap.last)
            report.gaps.append(
                JournalDamage(
                    kind: .gap, file: chunk.file.text, line: offset >= 0 ? lineNumber : nil,
                    byte: offset >= 0 ? offset : nil, position: gap.first,
                    detail:
                        "\(Self.gapWords) seq \(gap.first) to \(gap.last); the bytes are kept in journal/\(gap.file)"))
        } else if lineNumber == 1 {
            note(.header, offset, LineChecker.noHeader, chunk)
            loseTrack()
        } else {
            breaks(
                .bitRot, at: offset,
                SegmentHeader(bytes) == nil ? "the line's checksum is wrong" : LineChecker.secondHeader, in: chunk,
                bytes: Int64(withNewline.count))
        }
    }

    /// A segment whose first line is another one: named in its own file, and not again in the chain.
    private mutating func refuseHeaderless(_ offset: Int64, _ chunk: LineChunk) {
        if lineNumber == 1, offset == 0 { note(.header, 0, LineChecker.noHeader, chunk) }
    }

    private mutating func take(_ problem: SegmentChain.Problem?, _ offset: Int64, _ chunk: LineChunk) {
        switch problem {
        case nil: return
        case .number(let words): note(.brokenChain, offset, words, chunk)
        case .hash(let segment, let found, let stated, let hasGap):
            let damage = damage(
                .brokenChain, offset, "the hash of the segment before it is \(found), the header says \(stated)", chunk)
            links.append((segment, found, hasGap, damage))
        }
    }

    private mutating func keepHead(at position: LogPosition) {
        guard !anchors.isEmpty, headsAtAnchors[position] == nil,
            anchors.contains(where: { $0.position == position })
        else { return }
        headsAtAnchors[position] = chain.through
    }

    private mutating func accept(
        _ line: LogLine, _ withNewline: UnsafeRawBufferPointer, _ offset: Int64, _ chunk: LineChunk
    ) {
        let isLate = compare(line.position, at: offset, chunk)
        if line.time < lastTime, !isLate { note(.reordered, offset, "its time is before the event before it", chunk) }
        if lineNumber == 2, !chunk.file.isCompressed { carriesSynced = line.synced != nil }
        lastTime = max(lastTime, line.time)
        expected = max(line.position.next, isLate ? expected ?? .zero : .zero)
        reached = max(reached, line.position)
        report.events += 1
        if wanted.contains(line.position) { report.crcs[line.position] = line.crc }
        chain.add(withNewline, endsCommand: !line.hasMore)
        notes.take(line)
        keepHead(at: line.position)
        if line.hasMore {
            let begun = unfinished ?? (chunk.file, offset, 0)
            unfinished = (begun.file, begun.byte, begun.bytes + Int64(withNewline.count))
        } else {
            unfinished = nil
            report.last = max(report.last, line.position)
        }
    }

    /// Compares a position with the one that is due; true where it stood in an earlier place, or should have.
    @discardableResult
    private mutating func compare(_ found: LogPosition, at offset: Int64, _ chunk: LineChunk) -> Bool {
        guard let due = expected else {
            if reached == .zero, report.damage.isEmpty, found > max(LogPosition(1), begins) {
                note(.missingSegment, offset, "the journal begins at seq \(found)", chunk)
            }
            return false
        }
        if found < due {
            if let gone = absent.firstIndex(where: { $0.range.contains(found.rawValue) }) {
                absent[gone].later += 1
                chain.isDamaged = true
            } else if lastAgain.map({ $0.next != found }) ?? true {
                note(.duplicate, offset, "seq \(found) stands there again", chunk)
            }
            lastAgain = found
            return true
        }
        if found > due {
            note(
                .missingSegment, offset, "seq \(found) follows, \(due) to \(found.previous) are missing", chunk)
            absent.append((due.rawValue...found.previous.rawValue, report.damage.count - 1, 0))
        }
        return false
    }

    private mutating func note(_ kind: JournalDamage.Kind, _ offset: Int64, _ detail: String, _ chunk: LineChunk) {
        report.damage.append(damage(kind, offset, detail, chunk))
        chain.isDamaged = true
    }

    private func damage(
        _ kind: JournalDamage.Kind, _ offset: Int64, _ detail: String, _ chunk: LineChunk
    ) -> JournalDamage {
        JournalDamage(
            kind: kind, file: chunk.file.text, line: offset >= 0 ? lineNumber : nil,
            byte: offset >= 0 ? offset : nil, position: expected ?? reached.next, detail: detail)
    }

    private mutating func breaks(
        _ kind: JournalDamage.Kind, at offset: Int64, _ detail: String, in chunk: LineChunk, bytes: Int64
    ) {
        if chunk.isTail { lineNumber += 1 }
        let damage = damage(kind, offset, detail, chunk)
        if chunk.file.isCompressed {
            report.damage.append(damage)
            if offset >= 0, brokenAt.map({ offset - $0.byte >= Self.memberBytes }) ?? true {
                brokenAt = (report.damage.count - 1, offset)
            }
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
