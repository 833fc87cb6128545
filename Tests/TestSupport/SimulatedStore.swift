import EventLog
import Synchronization

/// A journal store that leaves compressing to the test, so that a round with the same seed is the same again: the
/// writer's own thread finds nothing to do. And it tells when a compaction reads and writes beside the appends.
public final class SimulatedStore: JournalStore {
    private let base: LocalJournalStore
    private let compacting = Atomic(false)

    /// Stands before a local store.
    public init(_ base: LocalJournalStore) { self.base = base }

    /// True while a compaction is at work and has sealed already: appends may come between its calls.
    public var isCompacting: Bool { compacting.load(ordering: .acquiring) }

    /// As the local store.
    public func open(_ hints: RecoveryHints) throws(JournalError) -> OpenedJournal { try base.open(hints) }
    /// As the local store.
    public func append(_ lines: [UInt8], last: LogPosition) throws(JournalError) -> Duration {
        try base.append(lines, last: last)
    }
    /// As the local store.
    public func settle() { base.settle() }
    /// As the local store.
    public func room(wanted: Int64) throws(JournalError) -> Int64 { try base.room(wanted: wanted) }
    /// As the local store.
    public func entries(from position: LogPosition) -> LogReader { base.entries(from: position) }
    /// As the local store.
    public func seal(next: LogPosition) throws(JournalError) -> Bool { try base.seal(next: next) }
    /// Nothing: see `archiveNow`.
    public func archive() throws(JournalError) -> Bool { false }
    /// What `archive` does otherwise.
    public func archiveNow() throws(JournalError) -> Bool { try base.archive() }
    /// As the local store.
    public func compact(mergedBytes: Int64, sealing seal: () -> Void) throws(JournalError) -> CompactionReport {
        defer { compacting.store(false, ordering: .releasing) }
        return try base.compact(mergedBytes: mergedBytes) {
            seal()
            compacting.store(true, ordering: .releasing)
        }
    }
    /// As the local store.
    public func discard(
        upTo limit: LogPosition, archive: JournalArchive?, prepare: (DiscardPlan) throws(JournalError) -> Void
    ) throws(JournalError) -> DiscardPlan {
        try base.discard(upTo: limit, archive: archive, prepare: prepare)
    }
    /// As the local store.
    public func interrupt() { base.interrupt() }
    /// As the local store.
    public func close() { base.close() }
}
