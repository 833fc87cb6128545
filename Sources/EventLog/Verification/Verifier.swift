/// Checks every byte of a journal: checksums, positions, times, gzip frames and the chain of segments.
///
/// Goes on behind each damage and lists all of them; what `repair` took out and noted is listed apart. Reads as readers do, by position and without locks, so a manager
/// that runs, seals and compacts meanwhile gives no false alarm.
public struct Verifier {
    /// What was found.
    public struct Report: Sendable {
        /// Events that are whole and right.
        public var events: UInt64 = 0
        /// Segments, by their headers.
        public var segments: UInt64 = 0
        /// The last event of a whole command.
        public var last = LogPosition.zero
        /// SHA-256 of that event's segment from its header through that event's line, in hex; nil without segments.
        public var headSHA256: String?
        /// Bytes at the end that the next start may cut.
        public var tail: UnreadTail?
        /// Places that are not what was written, in order; at most `mostDamages`.
        public var damage: [JournalDamage] = []
        /// What `repair` took out, and segments that it changed: known, and no damage any more.
        public var gaps: [JournalDamage] = []
        /// The anchors that hold.
        public var anchors: [Anchor] = []
        /// The checksums of the lines at the wanted positions.
        public var crcs: [LogPosition: UInt32] = [:]
        /// Events that are what was written, and that the one who judged them cannot take; at most `mostDamages`.
        public var unfoldable: [(position: LogPosition, problem: String)] = []
    }

    /// The most places that are listed; what comes behind them is not looked at.
    public static let mostDamages = 1000

    private let directory: JournalDirectory

    /// `directory`: the journal's.
    public init(_ directory: JournalDirectory) { self.directory = directory }

    /// Reads everything. `wanted`: positions whose lines' checksums are to be reported. `anchors`: head hashes that were
    /// kept elsewhere; one that does not hold is a damage. `judging`: told each whole event; what it says is wrong with one
    /// stands in the report. Throws only what is no damage: errors of the disk, a newer format. `judgingEnd`: the newest file
    /// is also judged as a start would. `mayGoOn` is called between the pieces; where it returns false, the report ends there.
    public func run(
        wanted: Set<LogPosition> = [], anchors: [Anchor] = [], judgingEnd: Bool = true,
        whileTrue mayGoOn: () -> Bool = { true }, judging judge: (LogLine) -> String? = { _ in nil }
    ) throws(JournalError) -> Report {
        let source = SegmentSequence(directory, from: LogPosition(1), checkingTrailers: true)
        var walk = DamageWalk(wanted: wanted, anchors: anchors, begins: try directory.historyBegins())
        var goesOn = true
        while goesOn, mayGoOn(), walk.report.damage.count < Self.mostDamages {
            do throws(JournalError) {
                if let chunk = try source.next() { try walk.take(chunk, judge) } else { goesOn = false }
            } catch {
                guard case .damage(let damage) = error else { throw error }
                walk.skipped(damage)
                goesOn = try source.resume()
            }
        }
        var report = walk.finish()
        try addContinuity(to: &report)
        if judgingEnd { try addDecision(to: &report) }
        return report
    }

    /// What a start sees in the files' beginnings and ends, where nothing was found in the same file by its lines: files
    /// that no reader enters, say. Looked at again where files were sealed, merged or removed meanwhile.
    private func addContinuity(to report: inout Report) throws(JournalError) {
        for _ in 0..<20 {
            let names = try directory.segments()
            var found: JournalDamage?
            do throws(JournalError) { try directory.checkContinuity { _ throws(JournalError) in } } catch {
                switch error {
                case .damage(let damage): found = damage
                case .file(let failure) where failure.isNotFound: continue
                default: throw error
                }
            }
            guard try directory.segments() == names else { continue }
            if let found, !report.damage.contains(where: { $0.file == found.file }) { report.damage.append(found) }
            return
        }
    }

    /// The newest file is judged as the next start will judge it, by the same facts and the same table.
    private func addDecision(to report: inout Report) throws(JournalError) {
        guard let newest = try directory.segments().last, !newest.isCompressed else { return }
        let bytes: [UInt8]
        do { bytes = try readWholeFile(directory.path(of: newest), on: directory.fileSystem) } catch {
            if error.isNotFound { return }
            throw .file(error)
        }
        let problem: JournalError
        do throws(JournalError) {
            let scan = try TailScan(bytes, file: newest)
            let facts = scan.facts(
                previousCarriesSynced: try directory.carriesSynced(before: newest), snapshotBeyond: nil,
                isCleanStop: false)
            guard case .refuse(let refusal) = RecoveryTable.decide(facts) else { return }
            problem = scan.damage(refusal, file: newest)
        } catch { problem = error }
        guard case .damage(let damage) = problem else { throw problem }
        report.tail = nil
        if !report.damage.contains(where: { $0.file == damage.file }) { report.damage.append(damage) }
    }
}
