import Crypto

/// Puts the good lines of a journal in order, file by file, and gap lines where events are missing.
///
/// Pure but for its sink: what comes out depends on the lines alone, so that a second walk gives the same.
struct SegmentMender {
    /// What comes out, in order.
    enum Output {
        /// A line with its newline: header, event or gap.
        case line(UnsafeRawBufferPointer)
        /// Bytes to keep under this name, relative to the journal's directory, before the file is replaced.
        case quarantine(file: String, bytes: [UInt8])
    }

    typealias Sink = (Output) throws(JournalError) -> Void

    private(set) var plan = RepairPlan()
    /// The position that is due.
    private(set) var expected = LogPosition(1)
    private(set) var lastTime = LogTime(microseconds: .min)
    /// The number of the segment that is being put together; 0 before the first.
    private(set) var number: UInt64 = 0
    /// What the walk is to report, besides what it finds.
    let wanted: Set<LogPosition>

    private var hash = SHA256()
    /// Whether events are missing in that segment.
    private var hasGap = false
    private var notes = RepairNotes()
    private var loose: [RepairPlan.Segment] = []

    // Of the file that is being mended.
    private var name = SegmentName(first: LogPosition(1))
    private var survey = LineSurvey(first: LogPosition(1), limit: .zero, time: LogTime(microseconds: .min))
    private var limit = LogPosition.zero
    private var bad: [UInt8] = []
    private var badWords = ""
    private var isFirstLine = true
    private var changes: [String] = []
    /// The number in the next good header behind the file's own; nil where there is none.
    private var following: UInt64?

    init(wanted: Set<LogPosition>) { self.wanted = wanted }

    /// True where bad bytes wait for what follows them.
    var hasBad: Bool { !bad.isEmpty }

    /// How many lines they are, by their newlines.
    var badLines: Int { bad.count { $0 == 10 } }

    // MARK: - A file

    /// Begins a file; events beyond `limit` stand in the next one.
    mutating func enter(
        _ next: SegmentName, limit: LogPosition, _ survey: LineSurvey, following: UInt64? = nil
    ) {
        name = next
        self.following = following
        self.limit = limit
        self.survey = survey
        isFirstLine = true
        changes = []
        bad = []
        if expected == LogPosition(1), next.first > expected { expected = next.first }
    }

    /// Takes a piece of the file.
    mutating func take(_ piece: SalvageReader.Piece, _ sink: Sink) throws(JournalError) {
        switch piece {
        case .broken(let bytes, let words):
            if isFirstLine { try writeHeader(sink) }
            isFirstLine = false
            keepBad(bytes, words)
        case .lines(let bytes):
            var failure: JournalError?
            bytes.withUnsafeBufferPointer { buffer in
                do throws(JournalError) {
                    var at = 0
                    while at < buffer.count {
                        let newline = lineEnd(in: buffer, from: at)
                        try take(
                            UnsafeBufferPointer(rebasing: buffer[at..<(newline ?? buffer.count)]),
                            isTerminated: newline != nil, sink)
                        at = (newline ?? buffer.count) + 1
                    }
                } catch { failure = error }
            }
            if let failure { throw failure }
        }
    }

    /// Ends the file; what was done to it, nothing where it stays as it is. `through`: events up to here stood in it, or
    /// were lost with its end.
    mutating func leave(through end: LogPosition, frameProblem: String?, _ sink: Sink) throws(JournalError) -> String? {
        if isFirstLine { try writeHeader(sink) }
        if expected <= end { try fill(through: end, before: nil, sink) }
        try setStrayAside(sink)
        if let frameProblem { changes.append(frameProblem) }
        return changes.isEmpty ? nil : changes.joined(separator: "; ")
    }

    /// A whole file that is none of the journal's.
    mutating func setAside(_ file: SegmentName, _ bytes: [UInt8], _ sink: Sink) throws(JournalError) {
        name = file
        changes = []
        bad = bytes
        badWords = "no line of the journal stands in the file"
        if !bytes.isEmpty { try setStrayAside(sink) }
        plan.changes.append((file.text, "none of the journal's: the whole file is moved aside"))
    }

    /// A whole file in the place of one that is missing.
    mutating func replace(_ missing: SegmentName, through end: LogPosition, _ sink: Sink) throws(JournalError) -> String
    {
        enter(missing, limit: end, LineSurvey(first: missing.first, limit: end, time: lastTime))
        expected = missing.first
        badWords = "the file that held these events is missing"
        isFirstLine = false
        try emit(
            header: SegmentHeader(
                segment: SegmentHeader.number(after: number), first: missing.first, previousSHA256: previousHash), sink)
        try fill(through: end, before: nil, sink)
        return "missing: a gap line takes its place"
    }

    /// The plan, when all files were looked at.
    mutating func finish() -> RepairPlan {
        plan.last = expected.previous
        plan.unnotedGaps = plan.knownGaps.filter { gap in
            !notes.gaps.contains { $0.first == gap.first && $0.last == gap.last }
        }
        plan.unnotedSegments = loose.filter { notes.segments[$0.number] != $0.sha256 }
        return plan
    }

    mutating func note(change file: String, _ words: String) { plan.changes.append((file, words)) }

    mutating func note(tail bytes: Int) { plan.tailBytes = bytes }

    // MARK: - Lines

    private mutating func take(
        _ raw: UnsafeBufferPointer<UInt8>, isTerminated: Bool, _ sink: Sink
    ) throws(JournalError) {
        let isFirst = isFirstLine
        isFirstLine = false
        if let header = SegmentHeader(raw) {
            guard header.format <= SegmentHeader.currentFormat else {
                throw .newerFormat(found: header.format, supported: SegmentHeader.currentFormat, file: name.text)
            }
            // How many segments were lost with the events of a gap cannot be known; elsewhere each follows the one before.
            let follows =
                number == 0 || header.segment == SegmentHeader.number(after: number)
                || hasGap && header.segment >= number
            if header.first >= expected, header.first <= limit.next, follows,
                isFirst ? header.first == name.first : name.isCompressed
            {
                if header.first > expected { try fill(through: header.first.previous, before: nil, sink) }
                try setStrayAside(sink)
                if !isTerminated { change("a newline was missing") }
                return try emit(header: header, line: Array(raw) + [10], sink)
            }
            if isFirst { try writeHeader(sink) }
            return keepBad(raw, isTerminated, "a segment header that belongs elsewhere")
        }
        if isFirst {
            try writeHeader(sink)
            if LogLine(raw) == nil, GapLine(raw) == nil {
                keepBad(raw, isTerminated, "the first line is no segment header")
                return try setStrayAside(sink)
            }
        }
        if let event = LogLine(raw) {
            try take(event, raw, isTerminated, sink)
        } else if let gap = GapLine(raw) {
            guard gap.first >= expected, gap.last <= limit else {
                return keepBad(raw, isTerminated, "a gap line that belongs elsewhere")
            }
            if gap.first > expected { try fill(through: gap.first.previous, before: nil, sink) }
            try setStrayAside(sink)
            plan.knownGaps.append(gap)
            hasGap = true
            try emit(Array(raw) + [10], sink)
            expected = gap.last.next
        } else if bad.isEmpty, looksLikeHeader(raw) {
            keepBad(raw, isTerminated, "a segment header whose checksum is wrong")
            try setStrayAside(sink)
            try writeHeader(first: expected, sink)
        } else {
            keepBad(raw, isTerminated, "the line's checksum is wrong")
        }
    }

    private mutating func take(
        _ event: LogLine, _ raw: UnsafeBufferPointer<UInt8>, _ isTerminated: Bool, _ sink: Sink
    ) throws(JournalError) {
        if event.position < expected {
            // A line that stood behind a later one was put where it belongs.
            if survey.displaced[event.position] != nil { return change("lines were put in order") }
            return keepBad(raw, isTerminated, "seq \(event.position) stands there again")
        }
        if event.position > limit { return keepBad(raw, isTerminated, "seq \(event.position) belongs elsewhere") }
        if survey.untimely.contains(event.position) || event.time < lastTime {
            return keepBad(raw, isTerminated, "its time does not fit the events around it")
        }
        if event.position > expected { try fill(through: event.position.previous, before: event.time, sink) }
        try setStrayAside(sink)
        if !isTerminated { change("a newline was missing") }
        try emit(event: event, Array(raw) + [10], sink)
    }

    // MARK: - What comes out

    private mutating func emit(event: LogLine, _ line: [UInt8], _ sink: Sink) throws(JournalError) {
        notes.take(event)
        if wanted.contains(event.position) { plan.crcs[event.position] = event.crc }
        lastTime = event.time
        expected = event.position.next
        try emit(line, sink)
    }

    private mutating func emit(_ line: [UInt8], _ sink: Sink) throws(JournalError) {
        hash.update(data: line)
        var failure: JournalError?
        line.withUnsafeBytes { bytes in
            do throws(JournalError) { try sink(.line(bytes)) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    private var previousHash: String { number == 0 ? SegmentHeader.noPrevious : hexString(hash.finalize()) }

    /// `line`: as it stands in the file, where it does.
    private mutating func emit(header: SegmentHeader, line: [UInt8]? = nil, _ sink: Sink) throws(JournalError) {
        if number > 0, header.previousSHA256 != previousHash {
            loose.append(RepairPlan.Segment(number: number, sha256: previousHash))
        }
        number = header.segment
        hash = SHA256()
        hasGap = false
        try emit(line ?? header.encoded(), sink)
    }

    /// A header says nothing that its surroundings do not say: it is written anew.
    private mutating func writeHeader(first: LogPosition? = nil, _ sink: Sink) throws(JournalError) {
        change("its header is written anew")
        // Behind a gap the number was another one where the next header says so: that one then stays as it is.
        let next = SegmentHeader.number(after: number)
        let due = hasGap || number == 0 ? max(next, following.map { $0 - min($0, 1) } ?? 0) : next
        try emit(
            header: SegmentHeader(segment: due, first: first ?? name.first, previousSHA256: previousHash), sink)
    }

    /// Puts gap lines, and good lines that stood elsewhere, in the place of what is missing. `time`: of what follows.
    private mutating func fill(
        through end: LogPosition, before time: LogTime?, _ sink: Sink
    ) throws(JournalError) {
        while expected <= end {
            if let line = survey.displaced[expected] {
                let fits = try line.withEvent { event throws(JournalError) -> Bool in
                    guard event.time >= lastTime, time.map({ event.time <= $0 }) ?? true else { return false }
                    try emit(event: event, line, sink)
                    return true
                }
                if fits { continue }
            }
            let next = survey.displaced.keys.filter { $0 > expected && $0 <= end }.min()
            try gap(through: next?.previous ?? end, sink)
        }
    }

    private mutating func gap(through last: LogPosition, _ sink: Sink) throws(JournalError) {
        let kept = try quarantine(sink)
        let line = GapLine(first: expected, last: last, sha256: kept.sha256, file: kept.file)
        plan.gaps.append(
            RepairPlan.Gap(
                line: line, bytes: bad.count, file: name.text,
                detail: badWords.isEmpty ? "the events are missing" : badWords))
        change("seq \(line.first) to \(line.last) are gone")
        clearBad()
        hasGap = true
        try emit(line.encoded(), sink)
        expected = last.next
    }

    private mutating func setStrayAside(_ sink: Sink) throws(JournalError) {
        guard !bad.isEmpty else { return }
        let kept = try quarantine(sink)
        plan.strays.append(
            RepairPlan.Stray(
                keptAs: kept.file, sha256: kept.sha256, bytes: bad.count, file: name.text, position: expected,
                detail: badWords))
        change("\(bad.count) bytes are moved aside")
        clearBad()
    }

    private mutating func quarantine(_ sink: Sink) throws(JournalError) -> (sha256: String, file: String) {
        let sha256 = hexString(SHA256.hash(data: bad))
        let file = "quarantine/\(expected)-\(sha256.prefix(16))"
        try sink(.quarantine(file: file, bytes: bad))
        return (sha256, file)
    }

    private mutating func change(_ words: String) { if !changes.contains(words) { changes.append(words) } }

    private mutating func keepBad(_ raw: UnsafeBufferPointer<UInt8>, _ isTerminated: Bool, _ words: String) {
        keepBad(Array(raw) + (isTerminated ? [10] : []), words)
    }

    private mutating func keepBad(_ bytes: [UInt8], _ words: String) {
        if bad.isEmpty { badWords = words }
        bad += bytes
    }

    private mutating func clearBad() {
        bad = []
        badWords = ""
    }

    /// Whether a broken line is a header in the middle of a merged file: of a header's length, and with its members.
    private func looksLikeHeader(_ raw: UnsafeBufferPointer<UInt8>) -> Bool {
        guard name.isCompressed, (140...240).contains(raw.count), raw.first == 123 || raw.last == 125 else {
            return false
        }
        let due = SegmentHeader(
            segment: SegmentHeader.number(after: number), first: expected, previousSHA256: SegmentHeader.noPrevious)
        guard raw.count + 1 == due.encoded().count else { return false }
        let text = String(decoding: raw, as: UTF8.self)
        return ["\"segment\":", "\"first_seq\":", "\"previous_sha256\":"].count { text.contains($0) } >= 2
    }
}

extension [UInt8] {
    /// Calls `body` with a line that was found good before, newline included.
    fileprivate func withEvent(
        _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        var answer = false
        var failure: JournalError?
        withUnsafeBufferPointer { buffer in
            guard let line = LogLine(UnsafeBufferPointer(rebasing: buffer.dropLast())) else { return }
            do throws(JournalError) { answer = try body(line) } catch { failure = error }
        }
        if let failure { throw failure }
        return answer
    }
}
