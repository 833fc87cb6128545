import EventLog
import Foundation
import Projections
import Synchronization
import TestSupport
import Testing

@testable import manager

/// A clock that goes on only when a test says so.
final class ManualClock: Sendable {
    private let passed = Mutex(Duration.zero)
    private let jumped = Mutex(0.0)
    private let origin = ContinuousClock.now
    private let wallOrigin: LogTime

    /// Begins at a wall time.
    init(_ wall: LogTime = LogTime.now()) { wallOrigin = wall }

    /// Lets time pass.
    func advance(_ duration: Duration) { passed.withLock { $0 += duration } }

    /// Sets the wall clock alone, by so many seconds.
    func set(bySeconds seconds: Double) { jumped.withLock { $0 += seconds } }

    /// The clock as the manager takes it. `wallJump`: seconds by which the wall clock alone was set.
    func clock(wallJump: Double = 0) -> ManagerClock {
        ManagerClock(
            wall: { [self] in
                wallOrigin.advanced(bySeconds: passed.withLock { $0 }.seconds + jumped.withLock { $0 } + wallJump)
            },
            steady: { [self] in origin.advanced(by: passed.withLock { $0 }) })
    }
}

/// The manager's inside on a folder: journal, state, result files and the reconciler, without ports and threads of
/// its own for timers.
final class ManagerInProcess {
    let folder: ScratchFolder
    let files: CountingFileSystem
    let clock: ManualClock
    let processor: CommandProcessor
    let reconciler: CSVReconciler

    /// Loads what the folder's journal holds.
    init(
        _ folder: ScratchFolder, clock: ManualClock = ManualClock(), wallJump: Double = 0, patterns: [String] = [],
        poisonAfter: Int = 5, quarantineAfter: Int = 0, on disk: any FileSystem = LocalFileSystem()
    ) throws {
        self.folder = folder
        self.clock = clock
        files = CountingFileSystem(disk)
        let data = DataDirectory(folder.path, on: files)
        let said = Said()
        let results = ResultWriter(
            ResultFiles(dataDirectory: folder.path, on: files), report: { said.add($0) })
        let loaded = try Startup(data: data, segmentBytes: 64 << 20, warn: { said.add($0) }).run(results: results)
        let publisher = Publisher(durable: loaded.opened.last)
        let writer = LogWriter(
            loaded.store, opened: loaded.opened, segmentBytes: 64 << 20, onDurable: { publisher.advance(to: $0) },
            onFailure: { preconditionFailure("the journal cannot be written: \($0)") })
        processor = CommandProcessor(
            state: loaded.state, writer: writer, publisher: publisher, results: results, poisonAfter: poisonAfter,
            quarantineAfter: quarantineAfter,
            clock: clock.clock(wallJump: wallJump), fileSystem: files)
        reconciler = CSVReconciler(
            data, processor, patterns: patterns, every: .seconds(5), warn: { said.add($0) })
        warningList = said
        processor.record([.started(version: "test", host: "h", pid: 1)], actor: nil)
        // The first write gives the journal its name: it must not come when a short test has removed the folder.
        processor.writer.waitUntilDurable(processor.snapshot.position)
    }

    private let warningList: Said

    private final class Said: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { lines.withLock { $0.append(line) } }
        var all: [String] { lines.withLock { $0 } }
    }

    /// Everything that was warned of, but that the folder has no state file.
    var warnings: [String] { warningList.all.filter { !$0.hasPrefix("manager_state.json is missing") } }

    /// Makes all durable and ends; another one can then load the folder.
    func stop() {
        reconciler.close()
        processor.results.close()
        processor.writer.close()
    }

    /// Ends and loads again.
    func restarted(
        clock: ManualClock? = nil, wallJump: Double = 0, quarantineAfter: Int = 0
    ) throws -> ManagerInProcess {
        stop()
        return try ManagerInProcess(
            folder, clock: clock ?? self.clock, wallJump: wallJump, quarantineAfter: quarantineAfter)
    }

    /// Adds a task of phase `p`, with a key where columns are given.
    func add(
        _ id: String, _ config: String = #"{"x":1}"#, key: [String]? = nil, seed: String = "42", phase: String = "p"
    ) throws {
        var spec = TaskSpec(
            id: id, phase: phase, config: Array(config.utf8), seed: Array(seed.utf8),
            outputDirectories: ["results_\(phase)"])
        spec.key = key
        _ = try processor.add([spec], actor: "test")
    }

    /// Claims so many tasks; their ids.
    @discardableResult
    func claim(_ worker: String, _ count: Int = 1, heartbeat: Double? = nil) throws -> [String] {
        var request = ManagerState.ClaimRequest(worker: worker, count: count)
        request.heartbeatSeconds = heartbeat
        guard case .tasks(let tasks, _) = try processor.claim(request, actor: "test") else { return [] }
        return tasks.map(\.id)
    }

    /// Completes a task by its worker, and waits for the row where there is a result.
    func complete(_ id: String, by worker: String, result: String? = nil) throws {
        let decided = try processor.complete(
            id, by: ManagerState.Speaker(worker: worker), result: result.map { Array($0.utf8) }, actor: "test")
        processor.writer.waitUntilDurable(decided.position)
        guard let row = decided.answer.row else { return }
        let written = DispatchGate()
        processor.results.write(row) { written.open() }
        written.wait(seconds: 30)
    }

    /// What an operator does.
    func operate(_ operation: ManagerState.Operation, _ id: String) throws {
        _ = try processor.operate(operation, on: .ids([id]), actor: "test")
    }

    /// A task's status.
    func status(_ id: String) -> TaskStatus? { processor.snapshot.status(of: id) }

    /// The journal's lines, each as an object.
    func events(_ type: String? = nil) throws -> [[String: Any]] {
        processor.writer.waitUntilDurable(processor.snapshot.position)
        let names = try LocalFileSystem().list(folder.path + "/journal").filter { $0.hasSuffix(".jsonl") }
        return try names.flatMap { try folder.lines("journal/" + $0) }.compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }.filter { $0["seq"] != nil && (type == nil || $0["type"] as? String == type) }
    }
}
