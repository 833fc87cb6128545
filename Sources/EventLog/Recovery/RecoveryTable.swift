/// What a look at the newest segment found, as far as the decision needs it.
public struct TailFacts: Sendable, Equatable {
    /// The first thing in the file that is not the next whole line.
    public enum FirstBad: Sendable, Equatable {
        /// Every byte belongs to a good line.
        case none
        /// A line with a wrong checksum, or bytes without a newline.
        case brokenLine
        /// A whole line with a right checksum whose position is not the next.
        case wrongPosition(LogPosition)
    }

    /// The first bad thing.
    public var firstBad: FirstBad
    /// The last good position before it; of the whole file where nothing is bad.
    public var lastGood: LogPosition
    /// Bytes from the first bad one to the end of the file.
    public var badBytes: Int64
    /// True where the good lines end inside a command.
    public var endsInsideCommand: Bool
    /// True where a line with a right checksum stands behind the first bad byte.
    public var hasValidLineAfter: Bool
    /// The greatest `synced` of the lines behind the first bad byte.
    public var syncedAfter: LogPosition?
    /// Whether this journal's writes carry `synced` (ours do): only then can lost blocks be told from bit rot.
    public var writesCarrySynced: Bool
    /// A snapshot, backup or baseline with a right checksum that stands beyond `lastGood`.
    public var snapshotBeyond: SnapshotMark?
    /// True where the last event is `stopped` and a good state file stands at exactly it.
    public var isCleanStop: Bool

    /// Puts the facts together.
    public init(
        firstBad: FirstBad, lastGood: LogPosition, badBytes: Int64, endsInsideCommand: Bool, hasValidLineAfter: Bool,
        syncedAfter: LogPosition?, writesCarrySynced: Bool, snapshotBeyond: SnapshotMark?, isCleanStop: Bool
    ) {
        self.firstBad = firstBad
        self.lastGood = lastGood
        self.badBytes = badBytes
        self.endsInsideCommand = endsInsideCommand
        self.hasValidLineAfter = hasValidLineAfter
        self.syncedAfter = syncedAfter
        self.writesCarrySynced = writesCarrySynced
        self.snapshotBeyond = snapshotBeyond
        self.isCleanStop = isCleanStop
    }
}

/// A snapshot's place: its position and file.
public struct SnapshotMark: Sendable, Equatable {
    /// The last event folded into it.
    public let position: LogPosition
    /// Its file, for messages.
    public let path: String

    /// Makes a mark.
    public init(position: LogPosition, path: String) {
        self.position = position
        self.path = path
    }
}

/// What is done with the newest segment before anything is appended.
public enum RecoveryDecision: Sendable, Equatable {
    /// The manager stopped cleanly: go on in the file as it is.
    case appendInPlace
    /// Write the good lines to a new file and go on there.
    case rewrite
    /// The end is one write that never became durable: keep it aside, then rewrite without it.
    case cutAndRewrite
    /// This is no power loss: acknowledged events may be damaged.
    case refuse(Refusal)

    /// Why a start is refused.
    public enum Refusal: Sendable, Equatable {
        /// All lines are good, and a snapshot stands beyond the last one.
        case snapshotBeyond(SnapshotMark)
        /// A line is broken that a snapshot shows to have been durable.
        case durableInSnapshot(SnapshotMark)
        /// A whole line stands where another was due.
        case wrongPosition(LogPosition)
        /// More is broken than one write can be.
        case moreThanOneWrite
        /// A later write was begun when the broken one was durable already.
        case durableLater(LogPosition)
        /// Valid lines follow, in a journal whose writes carry no `synced`.
        case validLinesFollow
    }
}

/// The rule by which the end of the journal is cut or kept.
///
/// The blocks of one write reach the disk in any order: block 3 may be there and block 1 not. So "cut only where no
/// valid line follows" would refuse ordinary power losses. What follows the first bad byte is one unsynced write
/// exactly if none of its lines says that the journal was durable beyond the last good event.
public enum RecoveryTable {
    /// The most bytes of one write.
    public static let largestWriteBytes: Int64 = 16 << 20

    /// The decision for what was found. The first row that fits counts.
    ///
    /// What is broken is named before what a snapshot says of the journal's end: behind a broken line the end is not known.
    public static func decide(_ facts: TailFacts) -> RecoveryDecision {
        if case .wrongPosition(let found) = facts.firstBad { return .refuse(.wrongPosition(found)) }
        if facts.firstBad == .none {
            if let beyond = facts.snapshotBeyond { return .refuse(.snapshotBeyond(beyond)) }
            if facts.endsInsideCommand { return .cutAndRewrite }
            return facts.isCleanStop ? .appendInPlace : .rewrite
        }
        if facts.badBytes > largestWriteBytes { return .refuse(.moreThanOneWrite) }
        if let synced = facts.syncedAfter, synced > facts.lastGood { return .refuse(.durableLater(synced)) }
        if facts.hasValidLineAfter && !facts.writesCarrySynced { return .refuse(.validLinesFollow) }
        if let beyond = facts.snapshotBeyond { return .refuse(.durableInSnapshot(beyond)) }
        return .cutAndRewrite
    }
}
