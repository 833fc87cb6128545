import ArgumentParser
import EventLog
import Foundation
import Logging
import Projections

/// `manager worker -- COMMAND …`: takes tasks from a manager, here or on another machine, and runs a program for each.
struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker", abstract: "Run tasks of a manager on this machine, until it is stopped.",
        discussion: """
            Example: manager worker --url http://manager-host:5080 --gpu 0 -- python3 train.py --seed {seed}

            SIGTERM or Ctrl+C: finish the program that runs and take no more; a second one: stop it and give its task back.
            """)

    @Option(help: "The manager: http://HOST:PORT or tcp://HOST:PORT (MANAGER_URL; default: http://127.0.0.1:5080).")
    var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?
    @Option(help: "The worker's name (default: HOST, or HOST-gpuN); slots get -0, -1 … behind it.") var name: String?
    @Option(help: "The number of the GPU that the programs may use.") var gpu: Int?
    @Option(help: "How many programs run at once.") var slots = 1
    @Option(help: "The worker's own directory, for outputs, logs and .outbox/ (default: the current one).")
    var dir = "."
    @Option(help: "End when no task came for so long, such as 10m.") var exitWhenIdle: String?
    @Option(help: "End after so many tasks.") var maxTasks: Int?
    @Option(help: "The interval of heartbeats.") var heartbeat = "10s"
    @Argument(parsing: .postTerminator, help: "The program and its arguments, with {key} for the config's values.")
    var command: [String] = []

    func run() async throws {
        try await Terminal.ending {
            let environment = ProcessInfo.processInfo.environment
            let manager =
                try NamedManager.find(url, ca: ca)
                ?? NamedManager(
                    url: "http://127.0.0.1:5080", token: environment["MANAGER_TOKEN"].flatMap { $0.isEmpty ? nil : $0 },
                    trust: ServerTrust(ca: ca ?? environment["MANAGER_CA"]))
            guard let address = ManagerAddress(manager.url, trust: manager.trust) else {
                throw ValidationError(
                    "--url is '\(manager.url)': give http://HOST:PORT or tcp://HOST:PORT (https://, tls://)")
            }
            do throws(ServerTrust.Problem) { _ = try manager.trust.configuration() } catch {
                throw VerbFailure(error.description, status: 1)
            }
            guard (1...256).contains(slots) else { throw ValidationError("--slots is \(slots), 1 to 256 are allowed") }
            if let gpu, gpu < 0 { throw ValidationError("--gpu is \(gpu): give the GPU's number") }
            if let maxTasks, maxTasks < 1 { throw ValidationError("--max-tasks is \(maxTasks): give at least 1") }
            let base = name ?? hostName() + (gpu.map { "-gpu\($0)" } ?? "")
            if let problem = Bounds.problem(withName: base, what: "--name") { throw ValidationError(problem) }
            let session = WorkerSession(
                address: address, token: manager.token, name: base, gpu: gpu, slots: slots,
                directory: dir, idleLimit: try exitWhenIdle.map { try duration($0, "--exit-when-idle") },
                budget: maxTasks.map { TaskBudget(tasks: $0) },
                heartbeat: try duration(heartbeat, "--heartbeat"), command: command.isEmpty ? nil : command,
                logger: Terminal.logger())
            try await session.run()
        }
    }

    private func duration(_ text: String, _ flag: String) throws -> Duration {
        do { return try MomentText.duration(text) } catch { throw ValidationError("\(flag): \(error)") }
    }
}

/// One run of a worker.
///
/// The order of a start: the GPU is claimed; the worker's outbox is locked; programs that a worker of this name left behind are ended;
/// outcomes that stand there are delivered; then the slots begin.
struct WorkerSession: Sendable {
    let address: ManagerAddress
    let token: String?
    let name: String
    let gpu: Int?
    let slots: Int
    let directory: String
    let idleLimit: Duration?
    let budget: TaskBudget?
    let heartbeat: Duration
    let command: [String]?
    let logger: Logger

    /// Works until it is stopped, idle for too long, or has taken its tasks.
    func run() async throws {
        let interrupted = Interruption()
        let locks = try await GPUClaims.take(gpu.map { [$0] } ?? [], in: DataDirectory(directory))
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await work(interrupted)) } catch { outcome = .failure(error) }
        await GPUClaims.release(locks, logger)
        try outcome.get()
    }

    private func work(_ interrupted: Interruption) async throws {
        let fileSystem = LocalFileSystem()
        try fileSystem.createDirectories(directory)
        let lock = try lockOutbox(fileSystem)
        defer { lock.release() }
        let outbox = try Outbox(outboxPath, on: fileSystem)
        let runner = try ProgramRunner(
            settings: ProgramRunner.Settings(
                dataDirectory: directory, command: command, host: hostName(),
                environment: gpu.map { [("CUDA_VISIBLE_DEVICES", "\($0)")] } ?? []),
            outbox: outbox, on: fileSystem)
        let workers = (0..<slots).map { index in
            LocalWorker(
                settings: LocalWorker.Settings(
                    name: slots == 1 ? name : "\(name)-\(index)", heartbeat: heartbeat, idleLimit: idleLimit,
                    budget: budget),
                port: TCPPort(address, token: token, gpu: gpu), runner: runner, outbox: outbox, logger: logger)
        }
        let watching = Task { await watch(interrupted, workers) }
        defer { watching.cancel() }
        try await recover(outbox, interrupted)
        logger.notice("worker \(name) takes tasks from \(address)")
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in workers { group.addTask { try await worker.run() } }
                try await group.waitForAll()
            }
        } catch let error as WorkerPortError { throw VerbFailure(error.description, status: 1) }
        logger.notice("worker \(name) has ended")
    }

    /// Each worker has an outbox of its own, so that several may share a directory.
    private var outboxPath: String { "\(directory)/.outbox/\(name)" }

    private func lockOutbox(_ fileSystem: LocalFileSystem) throws -> DirectoryLock {
        do throws(JournalError) {
            let lock = try DirectoryLock(outboxPath, on: fileSystem)
            do throws(FileError) { try lock.describe("{\"pid\":\(getpid())}") } catch { throw .file(error) }
            return lock
        } catch {
            if case .locked(_, let holder) = error {
                throw VerbFailure(
                    "a worker named \(name) runs in \(directory) already (\(holder)): give another --name or --dir",
                    status: 1)
            }
            throw error
        }
    }

    private func recover(_ outbox: Outbox, _ interrupted: Interruption) async throws {
        let found: OutboxRecovery
        do { found = try await outbox.recover() } catch { throw VerbFailure("\(error)", status: 1) }
        for problem in found.damaged { logger.warning("\(problem)") }
        if found.endedProcesses > 0 {
            logger.notice("ended \(found.endedProcesses) processes that an earlier run left behind")
        }
        var outcomes = found.outcomes
        for child in found.abandoned {
            // Its end was never seen: the attempt goes back, without costing a retry.
            let returned = KeptOutcome(
                worker: child.worker, reference: child.reference, outcome: .returned,
                report: RunReport(host: hostName(), durationSeconds: 0))
            try outbox.keep(returned)
            outcomes.append(returned)
        }
        let courier = OutcomeCourier(port: TCPPort(address, token: token), outbox: outbox, logger: logger)
        let delivering = Task { [outcomes] in await courier.deliverAll(outcomes) }
        let watching = Task {
            while !interrupted.isRequested {
                do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
            }
            delivering.cancel()
        }
        let delivered = await delivering.value
        watching.cancel()
        if delivered > 0 { logger.notice("delivered \(delivered) outcomes that an earlier run left in .outbox/") }
    }

    private func watch(_ interrupted: Interruption, _ workers: [LocalWorker]) async {
        var isRetiring = false
        while !Task.isCancelled {
            if interrupted.isRequested, !isRetiring {
                isRetiring = true
                logger.notice("no more tasks are taken; once more stops the program that runs")
                for worker in workers { worker.retire() }
            }
            if interrupted.isInsisted {
                for worker in workers { worker.drain() }
                return
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
        }
    }
}
