import EventLog
import Glibc
import Projections
import Subprocess
import SystemPackage

/// Runs the program of one attempt from its start to its end.
///
/// Order of effects: (1) the config file, durable; (2) the process, which carries the outbox' mark in its
/// environment; (3) the record of the running child, durable. Power or process lost after (2): the next start finds
/// the process by its mark; after (3): by the record too. What the end came to is kept by the caller (`Outbox.keep`).
struct ProgramRunner: Sendable {
    /// What is the same for every attempt of a worker.
    struct Settings: Sendable {
        /// The directory that output directories are relative to.
        var dataDirectory: String
        /// For tasks whose phase brings no command; nil where only those are run that do.
        var command: [String]?
        /// The machine's name, for reports.
        var host: String
        /// Variables that the worker adds.
        var environment: [(name: String, value: String)] = []
        /// The GPU that its programs see (`CUDA_VISIBLE_DEVICES`); nil: whatever this process sees.
        var gpu: Int?
        /// From SIGTERM to SIGKILL for a program that is stopped.
        var grace: Duration = .seconds(10)
        /// A log longer than this is moved to `NAME.log.1`, and a new one begun; nil: never.
        var logBytes: Int64?
    }

    /// How an attempt ended.
    struct End: Sendable, Equatable {
        /// What is to be said to the manager; nil where nobody is interested any more.
        var outcome: ProgramOutcome?
        /// Where it comes from.
        var report: RunReport
        /// Something of this machine, not of the program, was in the way: pause before the next task. Nil: all well.
        var hostTrouble: String?
        /// How often in a row, with this end, the worker has given the task back.
        var timesReturned = 0
    }

    private let settings: Settings
    private let outbox: Outbox
    private let fileSystem: any FileSystem
    private let absoluteDataDirectory: String
    /// True when a program without a `cwd` of its own starts in the data directory.
    private let startsInDataDirectory: Bool

    /// Makes a runner; files of the runs live in the outbox. Throws where the data directory is not there.
    init(settings: Settings, outbox: Outbox, on fileSystem: any FileSystem) throws(FileError) {
        self.settings = settings
        self.outbox = outbox
        self.fileSystem = fileSystem
        absoluteDataDirectory = try fileSystem.resolve(settings.dataDirectory)
        startsInDataDirectory = try fileSystem.resolve(".") == absoluteDataDirectory
    }

    /// Runs the attempt. `control` stops it; so does the cancelling of the calling task (`drained`).
    func run(_ task: ClaimedTask, worker: String, control: ProgramControl) async -> End {
        // swift-subprocess answers a cancelled task by killing the program alone: its group would stay. So the
        // cancelling never reaches it.
        let shielded = Task { await runShielded(task, worker: worker, control: control) }
        return await withTaskCancellationHandler {
            await shielded.value
        } onCancel: {
            control.stop(.drained)
        }
    }

    private func runShielded(_ task: ClaimedTask, worker: String, control: ProgramControl) async -> End {
        if let reason = control.stopReason {
            return End(outcome: reason == .superseded ? nil : .returned, report: report(of: nil))
        }
        switch await onThread(named: "program-start", { prepare(task) }) {
        case .failure(let obstacle): return obstacle.end(report: report(of: nil))
        case .success(let launch): return await start(launch, worker: worker, control: control)
        }
    }

    private func start(_ launch: ProgramLaunch, worker: String, control: ProgramControl) async -> End {
        let program = launch.commandLine
        let began = ContinuousClock.now
        do {
            let result = try await Subprocess.run(
                launch.configuration, input: .none,
                output: .fileDescriptor(launch.output.writeEnd, closeAfterSpawningProcess: true),
                error: .fileDescriptor(launch.errorOutput.writeEnd, closeAfterSpawningProcess: true)
            ) { execution in
                let child = execution.processIdentifier
                return await onThread(named: "program-\(child.value)") {
                    watch(launch, child.value, child.processDescriptor, since: began, worker, control)
                }
            }
            return await onThread(named: "program-end") {
                finish(launch, ending: result.terminationStatus, result.closureResult, program)
            }
        } catch {
            launch.abandon()
            let sentence = launch.startFailure(error, on: fileSystem)
            return End(outcome: .failed(error: sentence), report: report(of: program))
        }
    }

    /// Blocks from the process' start to the end of its group.
    private func watch(
        _ launch: ProgramLaunch, _ pid: pid_t, _ pidDescriptor: Int32, since start: ContinuousClock.Instant,
        _ worker: String, _ control: ProgramControl
    ) -> ProgramSupervisor.Observation {
        let timeout = launch.task.timeoutSeconds.map { Duration.seconds(min($0, 1e9)) }
        var supervisor = ProgramSupervisor(
            pid: pid, pidDescriptor: pidDescriptor, start: start, launch: launch, control: control,
            processes: outbox.processes, plan: EndingPlan(timeout: timeout, grace: settings.grace))
        var trouble: FileError?
        do throws(FileError) {
            try outbox.record(RunningChild(pid: pid, worker: worker, reference: launch.task.reference, in: outbox))
        } catch {
            // The mark in its environment is enough to find it again.
            trouble = error
        }
        var observation = supervisor.supervise()
        if observation.logFailure == nil, let trouble { observation.logFailure = (0, trouble) }
        return observation
    }

    private func finish(
        _ launch: ProgramLaunch, ending status: TerminationStatus, _ seen: ProgramSupervisor.Observation,
        _ program: String
    ) -> End {
        let ending: ProgramOutcome.Ending
        var report = report(of: program)
        switch status {
        case .exited(let code):
            ending = .exited(code)
            report.exitCode = code
        case .signaled(let signal):
            ending = .signalled(signal)
            report.signal = signal
        }
        report.durationSeconds = seen.duration.seconds
        report.maxRSSBytes = seen.maxRSSBytes
        let outcome = ProgramOutcome.judge(
            ending, stopped: seen.stopReason, timeoutSeconds: launch.task.timeoutSeconds, errorTail: seen.errorTail,
            resultFile: { outbox.readResult(launch.files) })
        let trouble = seen.logFailure.map { "\($0.error); \($0.droppedBytes) bytes of output are not in the log" }
        return End(outcome: outcome, report: report, hostTrouble: trouble)
    }

    private func report(of program: String?) -> RunReport {
        RunReport(host: settings.host, program: program, durationSeconds: 0)
    }
}

extension ProgramRunner {
    /// Why nothing could be started.
    private enum Obstacle: Error {
        case task(String)
        case disk(FileError)
        case descriptors(Errno)

        func end(report: RunReport) -> End {
            switch self {
            case .task(let sentence): End(outcome: .failed(error: sentence), report: report)
            case .disk(let error) where !error.isDiskFull:
                End(outcome: .failed(error: "cannot start the program: \(error)"), report: report)
            case .disk(let error): End(outcome: .returned, report: report, hostTrouble: error.description)
            case .descriptors(let error):
                End(outcome: .returned, report: report, hostTrouble: "cannot make a pipe: \(error)")
            }
        }
    }

    /// Everything before the process: arguments, files, log, pipes.
    private func prepare(_ task: ClaimedTask) -> Result<ProgramLaunch, Obstacle> {
        do throws(Obstacle) { return .success(try launch(task)) } catch { return .failure(error) }
    }

    private func launch(_ task: ClaimedTask) throws(Obstacle) -> ProgramLaunch {
        let place = "task \(task.id) of phase \(task.phase)"
        let template: CommandTemplate
        let config: StrictJSON
        do throws(CommandTemplateError) {
            guard let command = task.command ?? settings.command else { throw .noCommand(place: place) }
            template = try CommandTemplate(command)
            do throws(JSONError) { config = try StrictJSON(object: task.config) } catch {
                throw .badConfig(place: place, fault: error)
            }
        } catch { throw .task("cannot start the program: \(error)") }

        let files = outbox.files(of: task.reference)
        let isAtHome = task.workingDirectory == nil && startsInDataDirectory
        let inputs = ProgramInputs(
            task: task, config: config,
            outputDirectory: isAtHome ? task.outputDirectory : absoluteDataDirectory + "/" + task.outputDirectory,
            configFile: files.config, resultFile: files.result, progressFile: files.progress)
        let arguments: [String]
        do throws(CommandTemplateError) { arguments = try template.filled(with: inputs.values, place: place) } catch {
            throw .task("cannot start the program: \(error)")
        }
        let log: ProgramLog
        do throws(FileError) {
            try outbox.prepare(files, config: config.compact)
            let name = "\(task.id).\(task.attempt).log"
            log = try ProgramLog(
                path: "\(absoluteDataDirectory)/\(task.outputDirectory)/logs/\(name)", mostBytes: settings.logBytes,
                on: fileSystem)
        } catch { throw .disk(error) }
        do throws(Errno) {
            return try ProgramLaunch(
                task: task, arguments: arguments, files: files, log: log,
                environment: inputs.environment(
                    of: settings.environment, gpu: settings.gpu, marker: outbox.directory))
        } catch { throw .descriptors(error) }
    }
}

extension Duration {
    /// The duration in seconds.
    var seconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
