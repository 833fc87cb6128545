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
    /// stands in the report. Throws only what is no damage: errors of the disk, a newer format.
    public func run(
        wanted: Set<LogPosition> = [], anchors: [Anchor] = [], judging judge: (LogLine) -> String? = { _ in nil }
    ) throws(JournalError) -> Report {
        let source = SegmentSequence(directory, from: LogPosition(1), checkingTrailers: true)
        var walk = DamageWalk(wanted: wanted, anchors: anchors, begins: try directory.historyBegins())
        var goesOn = true
        while goesOn, walk.report.damage.count < Self.mostDamages {
            do throws(JournalError) {
                if let chunk = try source.next() { try walk.take(chunk, judge) } else { goesOn = false }
            } catch {
                guard case .damage(let damage) = error else { throw error }
                walk.skipped(damage)
                goesOn = try source.resume()
            }
        }
        return walk.finish()
    }
}
