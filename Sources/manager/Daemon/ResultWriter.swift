import EventLog
import Glibc
import Projections
import Synchronization

/// A row that a completion owes, with the position that must be durable before it is written.
struct OwedRow: Sendable, Equatable {
    let position: LogPosition
    let row: ResultRow
}

/// Writes owed rows on a thread of its own: batched a file, one sync a file.
///
/// Order of effects: the completion's event is durable, then its row, then the answer. Power lost between the first two:
/// the row is owed, and the next start writes it before its first answer. On a full disk rows stay owed and are tried
/// again; their answers do not wait.
final class ResultWriter: Sendable {
    private struct Waiting {
        let owed: OwedRow
        let done: @Sendable () -> Void
    }

    private struct State {
        var queue: [Waiting] = []
        /// Rows that a full disk or an error left unwritten.
        var late: [OwedRow] = []
        /// Positions of rows that are not written yet, with how many there are.
        var unwritten: [UInt64: Int] = [:]
        /// Problems that were reported and last.
        var told: Set<String> = []
        /// Problems that were reported and will never pass.
        var toldForGood: Set<String> = []
        var isClosed = false
        var isRunning = true

        mutating func owe(_ position: LogPosition) { unwritten[position.rawValue, default: 0] += 1 }

        mutating func settle(_ position: LogPosition) {
            guard let count = unwritten[position.rawValue] else { return }
            unwritten[position.rawValue] = count > 1 ? count - 1 : nil
        }
    }

    /// How long rows wait that a full disk or a file did not take.
    private static let retryInterval = Duration.seconds(5)

    private let state = Mutex(State())
    private let wake = DispatchGate()
    private let finished = DispatchGate()
    private let files: Mutex<ResultFiles>
    /// Rows of others that were ended and that nobody has asked for yet. Changed only with `files` held.
    private let ended = Mutex<[EndedRow]>([])
    private let report: @Sendable (String) -> Void

    /// Starts the thread. `report` is told of problems, in sentences.
    init(_ files: ResultFiles, report: @escaping @Sendable (String) -> Void) {
        self.files = Mutex(files)
        self.report = report
        startThread(named: "result-rows") { self.run() }
    }

    /// Makes the row of a completion and notes that it is owed from now on.
    func owe(_ task: String, _ attempt: UInt32, _ result: [UInt8], _ position: LogPosition, _ state: ManagerState)
        -> OwedRow?
    {
        guard let context = state.resultContext(of: task) else { return nil }
        self.state.withLock { $0.owe(position) }
        return OwedRow(
            position: position,
            row: ResultRow(
                task: task, attempt: Int(attempt), phase: context.phase, seed: context.seed, config: context.config,
                result: result, outputDirectories: context.directories))
    }

    /// Notes that something is owed by an event before it is known what: no snapshot passes it until `settle`.
    func expect(_ position: LogPosition) { state.withLock { $0.owe(position) } }

    /// What was expected is known now, and owed by itself where it is not written.
    func settle(_ position: LogPosition) { state.withLock { $0.settle(position) } }

    /// Writes a row whose event is durable, then calls `done`.
    func write(_ owed: OwedRow, done: @escaping @Sendable () -> Void) {
        state.withLock { $0.queue.append(Waiting(owed: owed, done: done)) }
        wake.open()
    }

    /// True when every row up to the position is written.
    func isWritten(upTo position: LogPosition) -> Bool {
        state.withLock { !$0.unwritten.keys.contains { $0 <= position.rawValue } }
    }

    /// True when a row up to the position waits for its next try, because the disk or a file did not take it: to wait for
    /// it may be in vain.
    func isRefused(upTo position: LogPosition) -> Bool {
        state.withLock { state in
            state.late.contains { $0.position <= position } || (state.isClosed && !state.isRunning)
        }
    }

    /// Writes what may be owed after a start, leaving alone what stands already. On the calling thread, before any
    /// other row.
    func writeOwed(_ rows: [OwedRow], outputDirectories: [String]) {
        let outcome = files.withLock { files -> ResultOutcome in
            tell(files.recover(outputDirectories: outputDirectories))
            let outcome = rows.isEmpty ? ResultOutcome() : files.append(rows.map(\.row), checkingPresence: true)
            tell(outcome)
            return outcome
        }
        state.withLock { state in
            let owed = Set(outcome.owed)
            for (index, row) in rows.enumerated() {
                let isOwed = owed.contains(index)
                if isOwed { state.late.append(row) } else { state.settle(row.position) }
            }
        }
        wake.open()
    }

    /// Reports something of rows that were never owed.
    func say(_ sentence: String) { report(sentence) }

    /// Writes what is queued and ends the thread.
    func close() {
        state.withLock { $0.isClosed = true }
        wake.open()
        while state.withLock({ $0.isRunning }) { finished.wait(seconds: 1) }
    }

    private func run() {
        var nextTry = ContinuousClock.now
        while true {
            let isTry = ContinuousClock.now >= nextTry
            let (batch, late, isClosed) = state.withLock { state -> ([Waiting], [OwedRow], Bool) in
                let isTry = isTry || state.isClosed
                defer {
                    state.queue = []
                    if isTry { state.late = [] }
                }
                return (state.queue, isTry ? state.late : [], state.isClosed)
            }
            if !late.isEmpty || !batch.isEmpty {
                write(late: late, batch, retrying: isTry || isClosed)
                if isTry { nextTry = ContinuousClock.now + Self.retryInterval }
            } else if isClosed {
                state.withLock { $0.isRunning = false }
                finished.open()
                return
            }
            let hasLate = state.withLock { !$0.late.isEmpty }
            if isClosed && hasLate && batch.isEmpty {
                state.withLock { $0.isRunning = false }
                finished.open()
                return
            }
            // Nobody wakes a writer that was closed: another turn finds nothing left and ends.
            if isClosed { continue }
            wake.wait(for: hasLate ? max(nextTry - ContinuousClock.now, .milliseconds(1)) : .seconds(3600))
        }
    }

    private func write(late: [OwedRow], _ batch: [Waiting], retrying: Bool) {
        let rows = late + batch.map(\.owed)
        let outcome = files.withLock { files -> ResultOutcome in
            let outcome = files.append(rows.map(\.row), checkingFirst: late.count, retrying: retrying)
            tell(outcome)
            return outcome
        }
        let owed = Set(outcome.owed)
        if !late.isEmpty, owed.isEmpty { report("the rows that were owed are written now") }
        state.withLock { state in
            // What has passed is told again when it comes again.
            if retrying { state.told.formIntersection(outcome.errors.map(\.description)) }
            for (index, row) in rows.enumerated() {
                if owed.contains(index) {
                    state.late.append(row)
                } else {
                    state.settle(row.position)
                }
            }
        }
        for waiting in batch { waiting.done() }
    }

    private func tell(_ outcome: ResultOutcome) {
        for error in outcome.errors {
            let text = error.description
            let isNew = state.withLock {
                error.canPass ? $0.told.insert(text).inserted : $0.toldForGood.insert(text).inserted
            }
            if isNew { report(text) }
        }
        for row in outcome.ended {
            report(
                "the last row of \(row.path), at byte \(row.offset), had no line end: it was ended so that results could "
                    + "follow, and completes nothing; check it")
        }
        for path in outcome.holes {
            report(
                "\(path) had rows with zero bytes, which a write leaves that a power loss cut: they were taken out; the rows "
                    + "that they stood for are written anew from the journal")
        }
        if !outcome.ended.isEmpty { ended.withLock { $0 += outcome.ended } }
    }

    /// One scan of the files that a grown header replaced: rows that others appended to them are carried over. On the
    /// calling thread; call it before the files are read for rows of others.
    func scanPrevious() { files.withLock { tell($0.scanPrevious()) } }

    /// Runs `body` while no row is being written, so that what it sees of a file's size holds whole rows of ours; and
    /// tells which rows of others were ended since the last call, those that `body` can see among them.
    func whileQuiet<Answer: Sendable>(_ body: () -> Answer) -> (answer: Answer, ended: [EndedRow]) {
        files.withLock { _ in
            let answer = body()
            let rows = ended.withLock { ended -> [EndedRow] in
                defer { ended = [] }
                return ended
            }
            return (answer, rows)
        }
    }
}
