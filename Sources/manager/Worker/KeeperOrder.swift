import Foundation
import Projections

/// What a keeper is to run: the file `TASK.ATTEMPT.order.json` of an outbox.
///
/// The keeper holds a flock on this file for as long as it lives. So whether it lives is known without a process id: on
/// any start of the machine, and whatever else has got its number since. An order whose lock is free has no keeper and
/// never gets one: who takes the lock away removes the file.
struct KeeperOrder: Codable, Sendable {
    var worker: String
    var id: String
    var phase: String
    var config: String
    var seed: String
    var outputDirectory: String
    var attempt: UInt32
    var timeoutSeconds: Double?
    var command: [String]?
    var environment: [[String]]
    var workingDirectory: String?

    var dataDirectory: String
    var workerCommand: [String]?
    var host: String
    var gpu: Int?
    var graceSeconds: Double
    var logBytes: Int64?

    /// The order for a task of a worker.
    init(_ task: ClaimedTask, worker: String, _ settings: ProgramRunner.Settings, dataDirectory: String) {
        self.worker = worker
        self.dataDirectory = dataDirectory
        id = task.id
        phase = task.phase
        config = String(decoding: task.config, as: UTF8.self)
        seed = String(decoding: task.seed, as: UTF8.self)
        outputDirectory = task.outputDirectory
        attempt = task.attempt
        timeoutSeconds = task.timeoutSeconds
        command = task.command
        environment = task.environment.map { [$0.name, $0.value] }
        workingDirectory = task.workingDirectory
        workerCommand = settings.command
        host = settings.host
        gpu = settings.gpu
        graceSeconds = settings.grace.seconds
        logBytes = settings.logBytes
    }

    /// The task as it was claimed.
    var task: ClaimedTask {
        ClaimedTask(
            id: id, phase: phase, config: Array(config.utf8), seed: Array(seed.utf8), outputDirectory: outputDirectory,
            outputDirectories: [outputDirectory], attempt: attempt, timeoutSeconds: timeoutSeconds, command: command,
            environment: environment.filter { $0.count == 2 }.map { EnvironmentVariable(name: $0[0], value: $0[1]) },
            workingDirectory: workingDirectory)
    }

    /// How it is run.
    var settings: ProgramRunner.Settings {
        ProgramRunner.Settings(
            dataDirectory: dataDirectory, command: workerCommand, host: host, gpu: gpu,
            grace: .seconds(graceSeconds), logBytes: logBytes)
    }

    /// Task and attempt.
    var reference: AttemptReference { AttemptReference(task: id, attempt: attempt) }
}
