import Synchronization

/// Makes commands durable: one write and one sync for all that wait.
///
/// Any thread appends; lines are complete (position, `synced`, checksum) when `append` returns, for the write they
/// will be part of is known then: batches are written whole and in order, so when a batch's write begins, everything
/// before it is durable. A failed write or sync is final: `onFailure` ends the process. Where it returns, as in a
/// simulation of that end, nothing more is written, nobody is told that anything more is durable, and who waits for it
/// goes on without.
public final class LogWriter: Sendable {
    private struct Batch {
        var bytes: [UInt8] = []
        var last: LogPosition = .zero
        var startsSegment = false
        /// When its first event joined it.
        var began = ContinuousClock.now
        /// Whether a thread that has other things to do may write it.
        var isLittle: Bool { !startsSegment && bytes.count <= mostInlineBytes }
    }

    private struct State {
        var waiting: [Batch] = []
        var waitingBytes = 0
        var isWriting = false
        /// Whether what is being written is more than an event loop may wait for.
        var writesMuch = false
        var isClosed = false
        /// A write or a sync failed: nothing is written any more.
        var hasFailed = false
        var threadSleeps = false
        /// Threads that wait for a position, and write themselves what is not written when they wake.
        var waiters = 0
        /// How long the newest sync took.
        var lastSync = Duration.zero
        var next: LogPosition
        var segmentBytes: Int64
        var segmentHasEvents: Bool
        var sealsPlanned: UInt64 = 0

        /// Whether all that waits is for one little write.
        var waitsForLittle: Bool { waiting.count == 1 && waiting[0].isLittle }

        /// The batch that is written now.
        mutating func take() -> Batch {
            isWriting = true
            writesMuch = !waiting[0].isLittle
            return waiting.removeFirst()
        }
    }

    /// What `append` tells of a command's last event.
    public struct Appended: Sendable, Equatable {
        /// The command's last position.
        public let last: LogPosition
        /// The checksum of that line.
        public let crc: UInt32
    }

    private let state: Mutex<State>
    private let store: any JournalStore
    private let segmentLimit: Int64
    private let onDurable: @Sendable (LogPosition) -> Void
    private let onFailure: @Sendable (JournalError) -> Void
    private let wake = ThreadSignal()
    private let archiveWake = ThreadSignal()
    private let finished = ThreadSignal()
    private let durablePosition: Atomic<UInt64>
    private let threadsRunning = Atomic<Int>(0)
    private let sealCount = Atomic<UInt64>(0)
    private let sealAttempts = Atomic<UInt64>(0)

    /// The most bytes that may wait; beyond it new work is refused as busy.
    public static let mostWaitingBytes = 64 << 20
    /// The least space that new work leaves behind the last event: the endings of all running attempts fit in it.
    public static let leastRoomBytes: Int64 = 16 << 20
    /// The most bytes that are written by a thread which has other things to do.
    static let mostInlineBytes = 256 << 10
    /// The longest sync for which an event loop may wait: on a slower disk the writer's own thread writes.
    static let longestInlineSync = Duration.milliseconds(1)

    /// Starts the writer's and the archiver's threads. `onDurable` is called by whichever thread wrote, in order of
    /// position, never twice at once; it must be quick.
    public init(
        _ store: any JournalStore, opened: OpenedJournal, segmentBytes: Int64,
        onDurable: @escaping @Sendable (LogPosition) -> Void, onFailure: @escaping @Sendable (JournalError) -> Void
    ) {
        self.store = store
        self.segmentLimit = segmentBytes
        self.onDurable = onDurable
        self.onFailure = onFailure
        self.state = Mutex(
            State(
                next: opened.last.next, segmentBytes: opened.activeBytes, segmentHasEvents: opened.activeHasEvents))
        self.durablePosition = Atomic(opened.last.rawValue)
        threadsRunning.store(2, ordering: .relaxed)
        startThread(named: "journal-write") { self.writeLoop() }
        startThread(named: "journal-seal") { self.archiveLoop() }
    }

    /// The last durable position.
    public var durable: LogPosition { LogPosition(durablePosition.load(ordering: .acquiring)) }

    /// True after a write or a sync that failed, which `onFailure` was told of.
    private var failed: Bool { state.withLock { $0.hasFailed } }

    /// True while the writer's own thread sleeps: what is appended with `willCommit` waits for `commit`.
    public var isIdle: Bool { state.withLock { $0.threadSleeps && !$0.isWriting } }

    /// How many segments this writer has sealed.
    public var sealedSegments: UInt64 { sealCount.load(ordering: .acquiring) }

    /// Bytes that wait to be written.
    public var waitingBytes: Int { state.withLock { $0.waitingBytes } }

    /// Adds one command's events, all with one time. Not durable yet. `willCommit`: the caller promises to call
    /// `commit` soon, so the writer's thread is not woken. `each` is called with every event's position and checksum
    /// before the next is added.
    public func append(
        _ command: EncodedCommand, time: LogTime, willCommit: Bool = false,
        each: (LogPosition, UInt32, Range<Int>) -> Void = { _, _, _ in }
    ) -> Appended {
        precondition(command.count > 0, "a command without events")
        let (appended, mustWake) = state.withLock { state -> (Appended, Bool) in
            precondition(!state.isClosed, "append to a closed journal")
            let reach = command.bytes.count + command.count * 128
            if state.segmentBytes >= segmentLimit && state.segmentHasEvents {
                Self.beginSegment(&state)
            } else if state.waiting.isEmpty
                || (state.waiting[state.waiting.count - 1].bytes.count + reach > Int(RecoveryTable.largestWriteBytes)
                    && !state.waiting[state.waiting.count - 1].bytes.isEmpty)
            {
                state.waiting.append(Batch())
            }
            let crc = Self.encode(command, time: time, state: &state, each: each)
            let wake = state.threadSleeps && !state.isWriting && !willCommit
            return (Appended(last: state.next.previous, crc: crc), wake)
        }
        if mustWake { wake.notify() }
        return appended
    }

    private static func beginSegment(_ state: inout State) {
        state.waiting.append(Batch(last: state.next.previous, startsSegment: true))
        state.segmentBytes = Int64(
            SegmentHeader(
                segment: 1_000_000, first: state.next, previousSHA256: SegmentHeader.noPrevious
            ).encoded().count)
        state.segmentHasEvents = false
        state.sealsPlanned += 1
    }

    /// Ends the active segment, whatever its size, and blocks until its successor stands. A segment without events
    /// stays as it is, and so does one for whose successor the disk has no room.
    public func sealActive() {
        let target = state.withLock { state -> UInt64? in
            guard state.segmentHasEvents, !state.isClosed, !state.hasFailed else { return nil }
            Self.beginSegment(&state)
            return state.sealsPlanned
        }
        guard let target else { return }
        wake.notify()
        while true {
            let ticket = finished.ticket()
            if sealAttempts.load(ordering: .acquiring) >= target || failed { return }
            finished.wait(past: ticket)
        }
    }

    private static func encode(
        _ command: EncodedCommand, time: LogTime, state: inout State, each: (LogPosition, UInt32, Range<Int>) -> Void
    ) -> UInt32 {
        let slot = state.waiting.count - 1
        var bytes: [UInt8] = []
        swap(&bytes, &state.waiting[slot].bytes)
        let before = bytes.count
        var crc: UInt32 = 0
        command.bytes.withUnsafeBufferPointer { bodies in
            for index in 0..<command.count {
                let range = command.range(index)
                crc = appendLine(
                    position: state.next, time: time, body: UnsafeBufferPointer(rebasing: bodies[range]),
                    synced: bytes.isEmpty ? state.next.previous : nil, hasMore: index + 1 < command.count, to: &bytes)
                each(state.next, crc, range)
                state.next = state.next.next
            }
        }
        state.waitingBytes += bytes.count - before
        state.segmentBytes += Int64(bytes.count - before)
        state.segmentHasEvents = true
        swap(&bytes, &state.waiting[slot].bytes)
        state.waiting[slot].last = state.next.previous
        return crc
    }

    /// Sees to it that what was appended with `willCommit` is written: for event loops, at the end of a turn.
    ///
    /// Where the disk is quick the calling thread writes, and waits for a write under way: two threads then take turns, the
    /// one decides while the other syncs, and nobody has to be woken. On a slow disk, and where there is much to write or a
    /// segment to seal, the writer's own thread does it, and this never blocks.
    public func commitTurn() {
        let target = state.withLock { state -> LogPosition? in
            guard state.lastSync <= Self.longestInlineSync, !(state.isWriting && state.writesMuch),
                state.waiting.isEmpty || state.waitsForLittle
            else { return nil }
            return state.next.previous
        }
        if let target { waitUntilDurable(target) } else { wakeForWaiting() }
    }

    /// Writes what waits on the calling thread when nobody else is writing and it is little; else wakes the writer.
    public func commit() {
        let take = state.withLock { state -> Batch? in
            guard !state.isWriting, state.waitsForLittle else { return nil }
            return state.take()
        }
        if let take { write(take) }
        wakeForWaiting()
    }

    /// Sees to it that the writer's own thread writes what waits, unless somebody who waits for it will. Never blocks.
    private func wakeForWaiting() {
        let mustWake = state.withLock {
            $0.threadSleeps && !$0.isWriting && !$0.waiting.isEmpty && ($0.waiters == 0 || !$0.waitsForLittle)
        }
        if mustWake { wake.notify() }
    }

    /// True when what is reserved on the disk covers `bytes` besides `kept` bytes and all that waits.
    public func hasRoom(forBytes bytes: Int, keeping kept: Int64) throws(JournalError) -> Bool {
        let wanted = Int64(bytes) + Int64(waitingBytes) + max(kept, Self.leastRoomBytes)
        return try store.room(wanted: wanted) >= wanted
    }

    /// Blocks the calling thread until the position is durable, or the writer has failed.
    public func waitUntilDurable(_ position: LogPosition) {
        while durable < position {
            commit()
            if durable >= position || failed { return }
            let ticket = finished.ticket()
            // Counted before it waits: who ends a write then leaves what waits to it.
            let isOthers = state.withLock { state -> Bool in
                guard state.isWriting || !state.waitsForLittle else { return false }
                state.waiters += 1
                return true
            }
            guard isOthers else { continue }
            if durable < position, !failed { finished.wait(past: ticket) }
            state.withLock { $0.waiters -= 1 }
            if durable >= position || failed { return wakeForWaiting() }
        }
    }

    /// Ends the active segment, then compresses all sealed ones anew and merges small ones. Blocks for as long as that
    /// takes; appends go on meanwhile. Throws what the disk refuses, and damage that is met; what was merged by then stays.
    public func compact(mergedBytes: Int64 = LocalJournalStore.mergedBytes) throws(JournalError) -> CompactionReport {
        try store.compact(mergedBytes: mergedBytes, sealing: sealActive)
    }

    /// Discards what lies wholly at or before a position; see `JournalStore.discard`. `sealing`: the active segment is
    /// sealed before.
    public func discard(
        upTo limit: LogPosition, archive: JournalArchive?, sealing: Bool = true,
        prepare: (DiscardPlan) throws(JournalError) -> Void
    ) throws(JournalError) -> DiscardPlan {
        if sealing { sealActive() }
        return try store.discard(upTo: limit, archive: archive, prepare: prepare)
    }

    /// Lets a compaction that runs end soon, with an error: before a stop, which would wait for it.
    public func interruptCompaction() { store.interrupt() }

    /// Writes what waits, ends the threads and closes the store.
    public func close() {
        interruptCompaction()
        waitUntilDurable(state.withLock { $0.next.previous })
        state.withLock { $0.isClosed = true }
        wake.notify()
        archiveWake.notify()
        while threadsRunning.load(ordering: .acquiring) > 0 {
            let ticket = finished.ticket()
            if threadsRunning.load(ordering: .acquiring) > 0 { finished.wait(past: ticket) }
        }
        store.settle()
        store.close()
    }

    // MARK: - Threads

    private func write(_ batch: Batch) {
        var sync = Duration.zero
        do throws(JournalError) {
            if batch.startsSegment {
                let first = durable.next
                if try store.seal(next: first) {
                    sealCount.add(1, ordering: .releasing)
                    archiveWake.notify()
                }
                sealAttempts.add(1, ordering: .releasing)
            }
            // A segment that was only ended has nothing to write yet.
            if !batch.bytes.isEmpty {
                sync = try store.append(batch.bytes, last: batch.last)
                note(batch, sync)
            }
        } catch {
            onFailure(error)
            // `isWriting` stays: the position never becomes durable, and nothing more is written.
            state.withLock { $0.hasFailed = true }
            wake.notify()
            finished.notify()
            return
        }
        durablePosition.store(batch.last.rawValue, ordering: .releasing)
        onDurable(batch.last)
        store.settle()
        state.withLock {
            $0.isWriting = false
            $0.waitingBytes -= batch.bytes.count
            $0.lastSync = sync
        }
        finished.notify()
    }

    /// Once a write, on the thread that wrote: nobody waits for anybody.
    private func note(_ batch: Batch, _ sync: Duration) {
        let took = batch.began.duration(to: .now) / .seconds(1)
        let events = batch.last.rawValue - durablePosition.load(ordering: .relaxed)
        measured.withLock { statistics in
            statistics.append.note(took)
            statistics.sync.note(sync / .seconds(1))
            statistics.events.note(Double(events))
            statistics.bytes += UInt64(batch.bytes.count)
        }
    }

    private func writeLoop() {
        while true {
            let ticket = wake.ticket()
            enum Turn { case write(Batch), sleep, end }
            let turn = state.withLock { state -> Turn in
                if !state.isWriting, !state.waiting.isEmpty {
                    state.threadSleeps = false
                    return .write(state.take())
                }
                if state.isClosed && (state.waiting.isEmpty || state.hasFailed) { return .end }
                state.threadSleeps = true
                return .sleep
            }
            switch turn {
            case .write(let batch): write(batch)
            case .sleep: wake.wait(past: ticket)
            case .end:
                threadsRunning.subtract(1, ordering: .releasing)
                finished.notify()
                return
            }
        }
    }

    private func archiveLoop() {
        while true {
            let ticket = archiveWake.ticket()
            var worked = false
            do throws(JournalError) { worked = try store.archive() } catch {
                // A full disk or a damaged file leaves the plain segment: it is as good, only larger.
                archiveProblem.withLock { $0 = error }
            }
            if state.withLock({ $0.isClosed }) {
                threadsRunning.subtract(1, ordering: .releasing)
                finished.notify()
                return
            }
            if !worked { archiveWake.wait(past: ticket) }
        }
    }

    private let measured = Mutex(WriteStatistics())

    /// How long and how large the writes were since the start.
    public var statistics: WriteStatistics { measured.withLock { $0 } }

    private let archiveProblem = Mutex<JournalError?>(nil)

    /// Why the last sealed segment could not be compressed, once; nil when all is well.
    public func takeArchiveProblem() -> JournalError? {
        archiveProblem.withLock { problem in
            defer { problem = nil }
            return problem
        }
    }
}
