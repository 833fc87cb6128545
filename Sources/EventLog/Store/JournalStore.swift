/// Where the journal's lines are kept: local files, or a replicated log. Segment headers belong to the store.
///
/// One writer at a time calls `append` and `seal`; `archive` may run beside them. Every store passes the same
/// contract tests.
public protocol JournalStore: Sendable {
    /// Finds the end of the journal, mends it where the rule allows, and makes it ready for the first append.
    func open(_ hints: RecoveryHints) throws(JournalError) -> OpenedJournal

    /// Writes whole lines of whole commands, up to the event at `last`, and returns when they are durable:
    /// how long that took after the bytes were given away. After an error nothing more may be appended: what stands on
    /// the disk is not known.
    @discardableResult
    func append(_ lines: [UInt8], last: LogPosition) throws(JournalError) -> Duration

    /// Does what `append` put off until the replies have left, such as hashing what was written. By the writer, between
    /// two appends.
    func settle()

    /// Bytes that can still be appended for certain, as far as `wanted`: reserved behind the last event where the store
    /// can reserve, else what is free. Less than `wanted`: there is no room for new work.
    func room(wanted: Int64) throws(JournalError) -> Int64

    /// Reads events from a position on.
    func entries(from: LogPosition) -> LogReader

    /// Ends the active segment and begins one whose first event will be `next`. All events before it are durable.
    /// False: there is no room for the new segment's reservation; the old one goes on.
    func seal(next: LogPosition) throws(JournalError) -> Bool

    /// Compresses the oldest sealed segment that is not yet; false when there is none.
    func archive() throws(JournalError) -> Bool

    /// Compresses and merges all that is sealed, files of at most `mergedBytes`, after `seal` has ended the active
    /// segment. Blocks; appends go on beside it. Throws what the disk refuses, and damage that is met; what was done by
    /// then stays.
    func compact(mergedBytes: Int64, sealing seal: () -> Void) throws(JournalError) -> CompactionReport

    /// Discards whole segments whose events all stand at or before `limit`, oldest first. `prepare` is told what will go,
    /// and makes it durable that it does; it is not called where nothing does. `archive`: where they are copied to before.
    /// Blocks; appends go on beside it. Throws what `prepare` and the disk do; what went by then is gone.
    func discard(
        upTo limit: LogPosition, archive: JournalArchive?, prepare: (DiscardPlan) throws(JournalError) -> Void
    ) throws(JournalError) -> DiscardPlan

    /// Lets a compaction that runs end soon, with an error: before a stop, which would wait for it.
    func interrupt()

    /// Gives the journal free; nothing may be appended afterwards.
    func close()
}

/// What recovery needs to know and the log cannot: where snapshots stand.
public struct RecoveryHints: Sendable {
    /// A snapshot, backup or baseline with a right checksum beyond the position, if there is one.
    public var snapshotBeyond: @Sendable (LogPosition) -> SnapshotMark?
    /// True when this last event says that the manager stopped cleanly and the state file stands at exactly it.
    public var isCleanStop: @Sendable (_ last: LogPosition, _ crc: UInt32, _ body: [UInt8]) -> Bool

    /// Makes hints; the defaults know of no snapshot.
    public init(
        snapshotBeyond: @escaping @Sendable (LogPosition) -> SnapshotMark? = { _ in nil },
        isCleanStop: @escaping @Sendable (LogPosition, UInt32, [UInt8]) -> Bool = { _, _, _ in false }
    ) {
        self.snapshotBeyond = snapshotBeyond
        self.isCleanStop = isCleanStop
    }
}

/// The journal as `open` left it.
public struct OpenedJournal: Sendable, Equatable {
    /// The last event; zero for an empty journal.
    public var last: LogPosition
    /// The time of the last event of the active segment; nil where it has none.
    public var lastTime: LogTime?
    /// The active segment's size in bytes, its header included.
    public var activeBytes: Int64
    /// True where the active segment holds events.
    public var activeHasEvents: Bool
    /// What was cut from the end, if anything.
    public var cut: Cut?

    /// Puts the parts together.
    public init(
        last: LogPosition, lastTime: LogTime? = nil, activeBytes: Int64, activeHasEvents: Bool, cut: Cut? = nil
    ) {
        self.last = last
        self.lastTime = lastTime
        self.activeBytes = activeBytes
        self.activeHasEvents = activeHasEvents
        self.cut = cut
    }

    /// Bytes that were taken from the journal's end and kept aside.
    public struct Cut: Sendable, Equatable {
        /// The file they are kept in, relative to the journal's directory.
        public var file: String
        /// How many bytes.
        public var bytes: Int64
        /// The first position that is free again.
        public var first: LogPosition
        /// SHA-256 of the bytes, in hex.
        public var sha256: String
    }
}
