/// What a repair found and will do, or has done.
public struct RepairPlan: Sendable {
    /// Events that are gone: a gap line stands in their place.
    public struct Gap: Sendable, Equatable {
        /// What stands, or will stand, in the journal.
        public var line: GapLine
        /// The bytes that are moved aside.
        public var bytes: Int
        /// The segment file.
        public var file: String
        /// What was found there, in words.
        public var detail: String
    }

    /// Bytes that are moved aside though no event is missing: a header that is written anew, a line that stood twice.
    public struct Stray: Sendable, Equatable {
        /// The file that keeps them, relative to the journal's directory.
        public var keptAs: String
        /// Their SHA-256 in hex.
        public var sha256: String
        /// How many.
        public var bytes: Int
        /// The segment file.
        public var file: String
        /// The next event's position.
        public var position: LogPosition
        /// What was found there, in words.
        public var detail: String
    }

    /// A segment whose bytes are not those that its successor's header names.
    public struct Segment: Sendable, Equatable {
        /// Its number.
        public var number: UInt64
        /// SHA-256 of its bytes as they stand after the repair, in hex.
        public var sha256: String
    }

    /// New gaps.
    public internal(set) var gaps: [Gap] = []
    /// Bytes that are moved aside without a gap.
    public internal(set) var strays: [Stray] = []
    /// Files that are written anew, by name, with what is done to them.
    public internal(set) var changes: [(file: String, words: String)] = []
    /// Gaps that stood there before.
    public internal(set) var knownGaps: [GapLine] = []
    /// Gaps of earlier repairs that no note tells of yet.
    public internal(set) var unnotedGaps: [GapLine] = []
    /// Segments that do not fit their successors and that no note tells of yet.
    public internal(set) var unnotedSegments: [Segment] = []
    /// The last event that stands, or the end of the last gap.
    public internal(set) var last = LogPosition.zero
    /// The end of the newest segment that the next start judges and may cut.
    public internal(set) var tailBytes = 0
    /// The checksums of the lines at the wanted positions.
    public internal(set) var crcs: [LogPosition: UInt32] = [:]

    /// True where no file needs to be written.
    public var changesNothing: Bool { changes.isEmpty }

    /// The first position that is missing in any gap, old or new; nil without gaps.
    public var firstMissing: LogPosition? { (gaps.map(\.line.first) + knownGaps.map(\.first)).min() }

    /// Whether a position lies in a gap, old or new.
    public func isMissing(_ position: LogPosition) -> Bool {
        (gaps.map(\.line) + knownGaps).contains { $0.first <= position && position <= $0.last }
    }
}
