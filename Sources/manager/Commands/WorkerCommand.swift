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
    @Option(help: "How many programs run at once.") var slots: Int?
    @Option(help: "GPUs to use, one slot each: all (as nvidia-smi tells them), or 0,1.") var gpus: String?
    @Option(help: "Programs that a killed worker of this name has left running: adopt or kill.")
    var orphans = Orphans.adopt
    @Option(
        help: "A program's log longer than this goes on in a new file, the last one is kept as NAME.log.1; 0: never.")
    var logBytes = "64MiB"
    @Option(help: "The worker's own directory, for outputs, logs and .outbox/ (default: the current one).")
    var dir = "."
    @Option(help: "End when no task came for so long, such as 10m.") var exitWhenIdle: String?
    @Option(help: "End after so many tasks.") var maxTasks: Int?
    @Option(help: "The interval of heartbeats, 100ms to 24h.") var heartbeat = "10s"
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
            if let maxTasks, maxTasks < 1 { throw ValidationError("--max-tasks is \(maxTasks): give at least 1") }
            try ProgramSearch(path: environment["PATH"]).check(workerCommand: command)
            let base = name ?? hostName() + (gpu.map { "-gpu\($0)" } ?? "")
            if let problem = Bounds.problem(withName: base, what: "--name") { throw ValidationError(problem) }
            let session = WorkerSession(
                address: address, token: manager.token, name: base,
                slots: try await agentSlots(base), directory: dir,
                idleLimit: try exitWhenIdle.map { try duration($0, "--exit-when-idle") },
                budget: maxTasks.map { TaskBudget(tasks: $0) }, heartbeat: try heartbeatInterval(),
                command: command.isEmpty ? nil : command, orphans: orphans, logBytes: try logLimit(),
                logger: Terminal.logger())
            try await session.run()
        }
    }

    private func agentSlots(_ base: String) async throws -> [WorkerSlots.Slot] {
        if gpus != nil, gpu != nil || slots != nil {
            throw ValidationError(
                "give --gpus alone: it makes one slot a GPU; --gpu and --slots are for one GPU or none")
        }
        let named = gpus == "all" ? try await GPUListing.all() : gpus
        do throws(WorkerSlots.Fault) {
            return try WorkerSlots.ofAgent(name: base, gpu: gpu, gpus: named, count: slots)
        } catch { throw ValidationError(error.description) }
    }

    /// As the manager takes it with a claim.
    private func heartbeatInterval() throws -> Duration {
        let interval = try duration(heartbeat, "--heartbeat")
        guard interval >= .milliseconds(100), interval <= .seconds(86_400) else {
            throw ValidationError("--heartbeat is \(heartbeat): 100ms to 24h are allowed")
        }
        return interval
    }

    private func logLimit() throws -> Int64? {
        if logBytes == "0" { return nil }
        do { return try MomentText.sizeBytes(logBytes, "--log-bytes") } catch { throw ValidationError("\(error)") }
    }

    private func duration(_ text: String, _ flag: String) throws -> Duration {
        do { return try MomentText.duration(text, flag) } catch { throw ValidationError("\(error)") }
    }
}
