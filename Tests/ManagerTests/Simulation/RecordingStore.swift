import EventLog
import Synchronization

/// A store that notes every line that it is given.
final class RecordingStore: JournalStore {
    private let base: LocalJournalStore
    private let given = Mutex<[[UInt8]]>([])

    init(_ base: LocalJournalStore) { self.base = base }

    /// The lines, without newline, since the start.
    var lines: [[UInt8]] { given.withLock { $0 } }

    func open(_ hints: RecoveryHints) throws(JournalError) -> OpenedJournal { try base.open(hints) }
    func append(_ lines: [UInt8], last: LogPosition) throws(JournalError) -> Duration {
        given.withLock { $0 += lines.split(separator: 10).map { Array($0) } }
        return try base.append(lines, last: last)
    }
    func settle() { base.settle() }
    func room(wanted: Int64) throws(JournalError) -> Int64 { try base.room(wanted: wanted) }
    func entries(from position: LogPosition) -> LogReader { base.entries(from: position) }
    func seal(next: LogPosition) throws(JournalError) -> Bool { try base.seal(next: next) }
    /// Left to the test: a round with the same seed is the same again.
    func archive() throws(JournalError) -> Bool { false }
    func archiveNow() throws(JournalError) -> Bool { try base.archive() }
    func compact(mergedBytes: Int64, sealing seal: () -> Void) throws(JournalError) -> CompactionReport {
        try base.compact(mergedBytes: mergedBytes, sealing: seal)
    }
    func discard(
        upTo limit: LogPosition, archive: JournalArchive?, prepare: (DiscardPlan) throws(JournalError) -> Void
    ) throws(JournalError) -> DiscardPlan {
        try base.discard(upTo: limit, archive: archive, prepare: prepare)
    }
    func interrupt() { base.interrupt() }
    func close() { base.close() }
}
