import Glibc
import Synchronization
import TestSupport
import Testing

@testable import EventLog

/// Many event loops on one writer: nobody is left waiting, whoever writes.
@Suite("Turns of event loops", .serialized)
struct CommitTurnTests {
    private enum Disk: CaseIterable { case quick, slow, mixed }

    /// Syncs that take as long as a test says.
    private final class PacedStore: JournalStore {
        private let base: LocalJournalStore
        private let delay: @Sendable (Int) -> Duration
        private let count = Atomic(0)

        init(_ base: LocalJournalStore, delay: @escaping @Sendable (Int) -> Duration) {
            self.base = base
            self.delay = delay
        }

        func append(_ lines: [UInt8], last: LogPosition) throws(JournalError) -> Duration {
            try base.append(lines, last: last) + delay(count.add(1, ordering: .relaxed).newValue)
        }
        func open(_ hints: RecoveryHints) throws(JournalError) -> OpenedJournal { try base.open(hints) }
        func settle() { base.settle() }
        func room(wanted: Int64) throws(JournalError) -> Int64 { try base.room(wanted: wanted) }
        func entries(from position: LogPosition) -> LogReader { base.entries(from: position) }
        func seal(next: LogPosition) throws(JournalError) -> Bool { try base.seal(next: next) }
        func archive() throws(JournalError) -> Bool { try base.archive() }
        func compact(mergedBytes: Int64, sealing seal: () -> Void) throws(JournalError) -> CompactionReport {
            try base.compact(mergedBytes: mergedBytes, sealing: seal)
        }
        func discard(
            upTo limit: LogPosition, archive: JournalArchive?, prepare: (DiscardPlan) throws(JournalError) -> Void
        ) throws(JournalError) -> DiscardPlan { try base.discard(upTo: limit, archive: archive, prepare: prepare) }
        func interrupt() { base.interrupt() }
        func close() { base.close() }
    }

    @Test("every event becomes durable without another one after it", arguments: Disk.allCases)
    private func everyEvent(disk: Disk) throws {
        let directory = JournalDirectory("/journal", on: SimulatedDisk().process())
        // What a sync took decides who writes next: it is told, not slept.
        let store = PacedStore(LocalJournalStore(directory, segmentBytes: 20_000)) { number in
            disk == .slow || (disk == .mixed && number % 3 == 0) ? .milliseconds(5) : .zero
        }
        let writer = LogWriter(
            store, opened: try store.open(RecoveryHints()), segmentBytes: 20_000, onDurable: { _ in },
            onFailure: { Issue.record("the journal failed: \($0)") })
        let (loops, turns) = (4, 200)
        let left = Atomic(loops)
        let done = ThreadSignal()
        for loop in 0..<loops {
            startThread(named: "loop-\(loop)") {
                for turn in 0..<turns {
                    let events = (turn * 7 + loop) % 5 + 1
                    let big = String(repeating: "x", count: turn % 50 == 49 ? 300_000 : 10)
                    let appended = writer.append(
                        sampleCommand("\(loop)-\(turn)-\(big)", events: events), time: LogTime(microseconds: 0),
                        willCommit: true)
                    writer.commitTurn()
                    if turn % 3 == 0 { writer.waitUntilDurable(appended.last) }
                    // Another way to wait, which writes nothing itself.
                    while writer.durable < appended.last { sched_yield() }
                }
                left.subtract(1, ordering: .releasing)
                done.notify()
            }
        }
        while true {
            let ticket = done.ticket()
            if left.load(ordering: .acquiring) == 0 { break }
            done.wait(past: ticket)
        }
        writer.close()
        #expect(try Verifier(directory).run().last == writer.durable)
    }
}
