import Glibc

/// Reads the newest segment once, from its header to its end, and gathers what recovery decides by.
struct TailScan {
    /// The segment's header.
    let header: SegmentHeader
    /// The last position of the last whole command; the one before the segment's first when there is none.
    private(set) var lastWhole: LogPosition
    /// The time of that event; nil when there is none.
    private(set) var lastTime: LogTime?
    /// The checksum of that event's line; nil when there is none.
    private(set) var lastCRC: UInt32?
    /// The offset behind that event's newline.
    private(set) var wholeBytes: Int
    /// The body of that event; empty when there is none.
    private(set) var lastBody: [UInt8] = []
    /// The line and offset of the first bad byte.
    private(set) var badLine = 0
    private(set) var badOffset = 0
    /// Whether the segment's first event is good, and if so, whether it carries `synced`.
    private(set) var firstEventCarriesSynced: Bool?

    private(set) var firstBad = TailFacts.FirstBad.none
    private(set) var lastGood: LogPosition
    private(set) var hasValidLineAfter = false
    private(set) var syncedAfter: LogPosition?
    /// Whether the first bad line has no newline.
    private var isTorn = false
    /// Whether the first bad line is whole, and its time before that of the event before it.
    private var isUntimely = false
    private var newestTime = LogTime(microseconds: .min)
    /// Whether the line that was due at the first bad byte stands behind it.
    private var standsLater = false
    private let sizeBytes: Int

    /// Scans a whole segment. Throws `.damage` for a bad header, `.newerFormat` for one of a later format.
    init(_ bytes: [UInt8], file: SegmentName) throws(JournalError) {
        sizeBytes = bytes.count
        let headerEnd = bytes.firstIndex(of: 10) ?? bytes.count
        let header = bytes.withUnsafeBufferPointer { SegmentHeader(UnsafeBufferPointer(rebasing: $0[..<headerEnd])) }
        guard let header, headerEnd < bytes.count,
            header.format > SegmentHeader.currentFormat || header.first == file.first
        else {
            throw .damage(
                JournalDamage(
                    kind: .header, file: file.text, line: 1, byte: 0, position: file.first,
                    detail: header.map { "the header says that the file begins at seq \($0.first)" }
                        ?? LineChecker.noHeader))
        }
        guard header.format <= SegmentHeader.currentFormat else {
            throw .newerFormat(found: header.format, supported: SegmentHeader.currentFormat, file: file.text)
        }
        self.header = header
        lastWhole = header.first.previous
        lastGood = header.first.previous
        wholeBytes = headerEnd + 1
        bytes.withUnsafeBufferPointer { scan($0, from: headerEnd + 1) }
    }

    private mutating func scan(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) {
        var at = start
        var line = 1
        while at < bytes.count {
            line += 1
            let newline = lineEnd(in: bytes, from: at)
            let end = newline ?? bytes.count
            let raw = UnsafeBufferPointer(rebasing: bytes[at..<end])
            if firstBad == .none {
                accept(raw, at: at, end: end, line: line, isTerminated: newline != nil)
            } else if newline != nil, let later = LogLine(raw) {
                hasValidLineAfter = true
                if later.position == lastGood.next { standsLater = true }
                if let synced = later.synced, synced > (syncedAfter ?? .zero) { syncedAfter = synced }
            }
            at = end + 1
        }
    }

    private mutating func accept(
        _ raw: UnsafeBufferPointer<UInt8>, at: Int, end: Int, line: Int, isTerminated: Bool
    ) {
        if isTerminated, let gap = GapLine(raw) {
            guard gap.first == lastGood.next else { return note(wrong: gap.first, line: line, at: at) }
            lastGood = gap.last
            lastWhole = gap.last
            wholeBytes = end + 1
            return
        }
        guard isTerminated, let event = LogLine(raw) else {
            firstBad = .brokenLine
            isTorn = !isTerminated
            badLine = line
            badOffset = at
            return
        }
        isUntimely = event.position == lastGood.next && event.time < newestTime
        guard event.position == lastGood.next, !isUntimely else {
            return note(wrong: event.position, line: line, at: at)
        }
        newestTime = event.time
        if event.position == header.first { firstEventCarriesSynced = event.synced != nil }
        lastGood = event.position
        guard !event.hasMore else { return }
        lastWhole = event.position
        lastTime = event.time
        lastCRC = event.crc
        lastBody = Array(event.body)
        wholeBytes = end + 1
    }

    /// A whole line with another position than the one that is due, or an earlier time: no power loss leaves that.
    private mutating func note(wrong found: LogPosition, line: Int, at offset: Int) {
        firstBad = .wrongPosition(found)
        badLine = line
        badOffset = offset
    }

    /// The facts, with what only the caller can tell.
    func facts(
        previousCarriesSynced: Bool, snapshotBeyond: SnapshotMark?, isCleanStop: Bool
    ) -> TailFacts {
        TailFacts(
            firstBad: firstBad, lastGood: lastGood,
            badBytes: firstBad == .none ? 0 : Int64(sizeBytes - badOffset),
            endsInsideCommand: lastWhole < lastGood, hasValidLineAfter: hasValidLineAfter, syncedAfter: syncedAfter,
            writesCarrySynced: firstEventCarriesSynced ?? previousCarriesSynced, snapshotBeyond: snapshotBeyond,
            isCleanStop: isCleanStop)
    }

    /// The damage to name when a start is refused.
    func damage(_ refusal: RecoveryDecision.Refusal, file: SegmentName) -> JournalError {
        var kind = isTorn ? JournalDamage.Kind.torn : .bitRot
        let detail: String
        switch refusal {
        case .snapshotBeyond(let mark):
            return .snapshotBeyondEnd(snapshot: mark.position, path: mark.path, last: lastGood)
        case .durableInSnapshot(let mark):
            detail =
                "the line is broken, though \(mark.path) stands at seq \(mark.position): the event was acknowledged, or that "
                + "file belongs to another journal"
        case .wrongPosition where isUntimely:
            kind = .reordered
            detail = "its time is before the event before it"
        case .wrongPosition(let found):
            kind = found <= lastGood ? .duplicate : standsLater ? .reordered : .missingSegment
            detail = "a whole line with seq \(found) stands where \(lastGood.next) was due"
        case .moreThanOneWrite:
            detail = "\(sizeBytes - badOffset) bytes from there on are broken, more than one write can be"
        case .durableLater(let synced):
            detail = "the line is broken, though a later one says that the journal was durable up to seq \(synced)"
        case .validLinesFollow:
            detail = "the line is broken, though valid lines follow"
        }
        return .damage(
            JournalDamage(
                kind: kind, file: file.text, line: badLine, byte: Int64(badOffset), position: lastGood.next,
                detail: detail))
    }
}
