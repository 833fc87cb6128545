import ArgumentParser
import EventLog
import Foundation
import Logging
import Projections

/// `manager run SWEEP.yaml --workers N -- COMMAND …`: manager and workers in one process, until the sweep is done.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Run a sweep on this machine; run it again to resume.",
        discussion:
            "Example: manager run sweep.yaml --workers 2 -- python3 train.py --width {width_factor} --seed {seed}")

    @Argument(help: "The sweep file, or a pattern in quotes.") var sweep: String
    @Option(help: "How many programs run at once (default: 1; with --gpus one a GPU).") var workers: Int?
    @Option(help: "GPUs to use, such as 0,1: locked in .gpu_locks/; each program sees its own (CUDA_VISIBLE_DEVICES).")
    var gpus: String?
    @OptionGroup var dataOptions: DataOptions
    @Option(help: "The size at which a journal segment is sealed.") var segmentBytes = "64MiB"
    @Argument(parsing: .postTerminator, help: "The program and its arguments, with {key} for the config's values.")
    var command: [String] = []

    func run() async throws {
        try await Terminal.ending {
            let slots: WorkerSlots
            do { slots = try WorkerSlots(workers: workers, gpus: gpus) } catch { throw ValidationError("\(error)") }
            let data = dataOptions.data
            let logger = Terminal.logger()
            let files = try SweepReading.read([sweep], in: data, logger: logger)
            let command = command.isEmpty ? nil : command
            do throws(CommandTemplateError) {
                for phase in files.flatMap(\.phases) { try CommandTemplate.validate(phase.points, fallback: command) }
            } catch { throw VerbFailure(error.description, status: 1) }
            try ProgramSearch(path: ProcessInfo.processInfo.environment["PATH"]).check(
                files.flatMap(\.phases), fallback: command)
            try data.fileSystem.createDirectories(data.path)
            let session = RunSession(data: data, sweeps: files, slots: slots, command: command, logger: logger)
            let isComplete = try await session.run(segmentBytes: try size())
            if !isComplete { throw ExitCode(1) }
        }
    }

    private func size() throws -> Int64 {
        do { return try MomentText.sizeBytes(segmentBytes, "--segment-bytes") } catch {
            throw ValidationError("\(error)")
        }
    }
}

/// One run of a sweep on this machine.
///
/// The GPUs are claimed before anything is written to the journal, and given back when no program runs any more,
/// however the run ends. The order of a start after a crash: programs left behind are ended; outcomes that stand in
/// `.outbox/` are delivered; what is still assigned is lost (`worker_lost`); then the workers begin.
struct RunSession: Sendable {
    let data: DataDirectory
    let sweeps: [SweepFile]
    let slots: WorkerSlots
    let command: [String]?
    let logger: Logger

    /// Runs to the end of the sweep; true when every task is complete.
    func run(segmentBytes: Int64) async throws -> Bool {
        let interrupted = Interruption()
        let locks = try await takeGPUs()
        let outcome: Result<Bool, any Error>
        do { outcome = .success(try await work(segmentBytes, interrupted)) } catch { outcome = .failure(error) }
        await GPUClaims.release(locks, logger)
        return try outcome.get()
    }

    private func takeGPUs() async throws -> GPULockSet {
        if !slots.idleGPUs.isEmpty {
            let idle = slots.idleGPUs.map(String.init).joined(separator: ", ")
            logger.warning("there are fewer workers than GPUs: nothing runs on GPU \(idle)")
        }
        return try await GPUClaims.take(slots.gpus, in: data)
    }

    private func work(_ segmentBytes: Int64, _ interrupted: Interruption) async throws -> Bool {
        guard let http = Endpoint("127.0.0.1:0") else { preconditionFailure("a fixed endpoint") }
        var options = ManagerDaemon.Options(data: data, sweeps: sweeps, http: http, segmentBytes: segmentBytes)
        options.actor = CommandLineActor.name
        options.judgesRunning = false
        options.isStopRequested = { interrupted.isRequested }
        let began = ContinuousClock.now
        let daemon = try await ManagerDaemon.start(options, logger: logger)
        let outbox = try Outbox(data.outbox, on: data.fileSystem)
        let port = InProcessPort(processor: daemon.processor, host: hostName())
        try await recover(outbox, port, daemon)
        let before = daemon.processor.snapshot
        let progress = RunProgress(
            screen: { ProgressScreen.standardOutput(environment: ProcessInfo.processInfo.environment) },
            write: { Terminal.write(Array($0.utf8)) })
        let returned = ReturnedTasks()
        let workers = try slots.slots.map { try worker($0, daemon, outbox, returned) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for worker in workers { group.addTask { try await worker.run() } }
            let showing = Task { await show(progress, daemon, began) }
            await daemon.run(exitWhenDone: true, until: { interrupted.isRequested })
            for worker in workers { worker.drain() }
            try await group.waitForAll()
            showing.cancel()
            await showing.value
        }
        let state = daemon.processor.snapshot
        progress.finish(RunCounts(state), atSeconds: (ContinuousClock.now - began).seconds)
        try await daemon.stop()
        let summary = try RunOutcome.summary(
            data: data, before: before, after: state, wallSeconds: (ContinuousClock.now - began).seconds)
        Terminal.write(Array(summary.text().utf8))
        return state.isAllComplete
    }

    private func worker(
        _ slot: WorkerSlots.Slot, _ daemon: ManagerDaemon, _ outbox: Outbox, _ returned: ReturnedTasks
    ) throws(FileError) -> LocalWorker {
        let runner = try ProgramRunner(
            settings: ProgramRunner.Settings(
                dataDirectory: data.path, command: command, host: hostName(), gpu: slot.gpu),
            outbox: outbox, on: data.fileSystem)
        return LocalWorker(
            settings: LocalWorker.Settings(name: slot.name, returned: returned),
            port: InProcessPort(processor: daemon.processor, host: hostName(), gpu: slot.gpu), runner: runner,
            outbox: outbox, logger: logger)
    }

    private func recover(_ outbox: Outbox, _ port: InProcessPort, _ daemon: ManagerDaemon) async throws {
        let found: OutboxRecovery
        do { found = try await outbox.recover() } catch { throw VerbFailure("\(error)", status: 1) }
        for problem in found.damaged { logger.warning("\(problem)") }
        if found.endedProcesses > 0 {
            logger.notice("ended \(found.endedProcesses) processes that an earlier run left behind")
        }
        let courier = OutcomeCourier(port: port, outbox: outbox, logger: logger)
        let delivered = await courier.deliverAll(found.outcomes)
        if delivered > 0 { logger.notice("delivered \(delivered) outcomes that an earlier run left in .outbox/") }
        daemon.loseRunning()
    }

    private func show(_ progress: RunProgress, _ daemon: ManagerDaemon, _ began: ContinuousClock.Instant) async {
        while !Task.isCancelled {
            progress.update(
                RunCounts(daemon.processor.snapshot), atSeconds: (ContinuousClock.now - began).seconds)
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
        }
    }
}
