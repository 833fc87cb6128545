import EventLog
import Glibc
import Logging
import Synchronization
import Testing

@testable import manager

/// A manager that gives the tasks it was given, and takes (or does not take) every end.
final class ScriptedPort: WorkerPort {
    /// One end that was delivered.
    struct Delivery: Equatable {
        var task: String
        var attempt: UInt32
        var outcome: ProgramOutcome
    }

    private struct State {
        var tasks: [ClaimedTask]
        var claimErrors: [WorkerPortError] = []
        var answers: [DeliveryAnswer] = []
        var deliveries: [Delivery] = []
        var stopped: Set<AttemptReference> = []
        var heartbeats = 0
        var waitingHeartbeats: [AsyncStream<Void>.Continuation] = []
        var onDelivery: (@Sendable (Delivery) -> Void)?
    }

    private let state: Mutex<State>

    /// Has these tasks to give.
    init(tasks: [ClaimedTask] = []) { state = Mutex(State(tasks: tasks)) }

    /// What was delivered so far.
    var deliveries: [Delivery] { state.withLock { $0.deliveries } }
    /// How many heartbeats came so far.
    var heartbeats: Int { state.withLock { $0.heartbeats } }

    /// The next claims fail with these, one each.
    func failClaims(_ errors: [WorkerPortError]) { state.withLock { $0.claimErrors = errors } }
    /// The next deliveries are answered by these, one each; then all are taken.
    func answerDeliveries(_ answers: [DeliveryAnswer]) { state.withLock { $0.answers = answers } }
    /// From now on heartbeats of this attempt are told to stop.
    func stop(_ reference: AttemptReference) {
        state.withLock { state in
            state.stopped.insert(reference)
            for heartbeat in state.waitingHeartbeats { heartbeat.yield() }
        }
    }
    /// Called in every delivery, before its answer.
    func onDelivery(_ body: @escaping @Sendable (Delivery) -> Void) { state.withLock { $0.onDelivery = body } }

    func claim(
        worker: String, count: Int, wait: Duration, heartbeat: Duration
    ) async throws(WorkerPortError) -> [ClaimedTask] {
        let error = state.withLock { state in state.claimErrors.isEmpty ? nil : state.claimErrors.removeFirst() }
        if let error { throw error }
        let task = state.withLock { state in state.tasks.isEmpty ? nil : state.tasks.removeFirst() }
        if let task { return [task] }
        // No task comes later: the whole wait passes, unless the claim is called off.
        do { try await Task.sleep(for: wait) } catch { return [] }
        return []
    }

    func complete(
        worker: String, task: String, attempt: UInt32, result: [UInt8]?, report: RunReport
    ) async -> DeliveryAnswer { take(Delivery(task: task, attempt: attempt, outcome: .complete(result: result))) }

    func fail(
        worker: String, task: String, attempt: UInt32, error: String, report: RunReport
    ) async -> DeliveryAnswer { take(Delivery(task: task, attempt: attempt, outcome: .failed(error: error))) }

    func giveBack(worker: String, task: String, attempt: UInt32) async -> DeliveryAnswer {
        take(Delivery(task: task, attempt: attempt, outcome: .returned))
    }

    func heartbeat(worker: String, attempts: [AttemptReference], wait: Duration) async -> [HeartbeatAnswer] {
        let (signs, sign) = AsyncStream<Void>.makeStream()
        state.withLock { state in
            state.heartbeats += 1
            state.waitingHeartbeats.append(sign)
        }
        func answers() -> [HeartbeatAnswer] {
            state.withLock { state in attempts.map { state.stopped.contains($0) ? .stop : .goOn } }
        }
        let timer = Task {
            // Cancelled: the stop came first.
            do { try await Task.sleep(for: wait) } catch {}
            sign.finish()
        }
        defer { timer.cancel() }
        // Ends by the timer, or when the calling task is cancelled.
        if !answers().contains(.stop) { for await _ in signs where answers().contains(.stop) { break } }
        return answers()
    }

    private func take(_ delivery: Delivery) -> DeliveryAnswer {
        let observer = state.withLock { $0.onDelivery }
        observer?(delivery)
        return state.withLock { state in
            state.deliveries.append(delivery)
            return state.answers.isEmpty ? .taken : state.answers.removeFirst()
        }
    }
}

/// A data directory of its own, with an outbox; removed at the end.
final class WorkerBench: Sendable {
    /// The directory's absolute path.
    let path: String
    /// Its outbox.
    let outbox: Outbox
    /// The real disk.
    let fileSystem = LocalFileSystem()

    /// Makes the directory under /tmp.
    init() throws {
        var template = Array("/tmp/worker-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw FileError(operation: "create", path: "/tmp/worker-bench-XXXXXX", errno: errno)
        }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        outbox = try Outbox(path + "/.outbox", on: fileSystem)
    }

    deinit { Self.removeTree(path) }

    /// A runner for this directory.
    func runner(command: [String]? = nil, grace: Duration = .milliseconds(300)) throws -> ProgramRunner {
        try ProgramRunner(
            settings: .init(dataDirectory: path, command: command, host: "here", grace: grace), outbox: outbox,
            on: fileSystem)
    }

    /// A slot named `w` for this directory.
    func worker(
        port: ScriptedPort, command: [String]? = nil, heartbeat: Duration = .seconds(10),
        logger: Logger = quietLogger
    ) throws -> LocalWorker {
        LocalWorker(
            settings: .init(
                name: "w", heartbeat: heartbeat, backoff: Backoff(first: .milliseconds(1), longest: .milliseconds(4))),
            port: port, runner: try runner(command: command), outbox: outbox, logger: logger)
    }

    /// A file's text; nil where there is none.
    func text(_ name: String) throws -> String? {
        let file = "\(path)/\(name)"
        guard try fileSystem.metadata(file) != nil else { return nil }
        return String(decoding: try readWholeFile(file, on: fileSystem), as: UTF8.self)
    }

    /// The process id that a program has written.
    func pid(_ name: String) throws -> Int32 {
        let written = try #require(try text(name))
        return try #require(Int32(written.filter { !$0.isWhitespace }))
    }

    /// The names in the outbox.
    func outboxNames() throws -> [String] { try fileSystem.list(outbox.directory) }

    /// Drops what is logged.
    static let quietLogger = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })

    private static func removeTree(_ path: String) {
        let disk = LocalFileSystem()
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            unlink(path)
            return
        }
        do throws(FileError) {
            for name in try disk.list(path) { removeTree("\(path)/\(name)") }
        } catch { return }
        rmdir(path)
    }
}

/// A task for a test.
func benchTask(
    _ id: String = "t", attempt: UInt32 = 1, config: String = #"{"seed":42,"width":4}"#, command: [String]? = nil
) -> ClaimedTask {
    ClaimedTask(
        id: id, phase: "p", config: Array(config.utf8), seed: Array("42".utf8), outputDirectory: "results_p",
        outputDirectories: ["results_p"], attempt: attempt, timeoutSeconds: nil, command: command,
        workingDirectory: nil)
}

/// True while a process with this id runs.
func isRunning(_ pid: Int32) -> Bool { ProcessTable().entry(pid)?.isAlive ?? false }
