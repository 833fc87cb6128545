import EventLog
import Foundation
import Glibc
import Logging
import Projections
import Synchronization

/// One run of a worker.
///
/// The order of a start: the worker's outbox is locked; the GPUs are claimed, but for those that keepers of a killed worker of
/// this name guard; programs that it left behind are taken up with their keepers, or ended; outcomes that stand there are
/// delivered; then the slots begin, each when what was taken up in its name has ended.
struct WorkerSession: Sendable {
    let address: ManagerAddress
    let token: String?
    let name: String
    let slots: [WorkerSlots.Slot]
    let directory: String
    let idleLimit: Duration?
    let budget: TaskBudget?
    let heartbeat: Duration
    let command: [String]?
    let orphans: Orphans
    let logBytes: Int64?
    let logger: Logger

    /// Works until it is stopped, idle for too long, or has taken its tasks.
    func run() async throws {
        let interrupted = Interruption()
        let fileSystem = LocalFileSystem()
        try fileSystem.createDirectories(directory)
        let lock = try lockOutbox(fileSystem)
        defer { lock.release() }
        let outbox = try Outbox(outboxPath, on: fileSystem)
        let living = try await onThread(named: "outbox-keepers") { Result { try outbox.livingKeepers() } }.get()
        let gpus = SlotGPUs(
            Set(slots.compactMap(\.gpu)).sorted(), living, outbox, in: DataDirectory(directory))
        try await gpus.takeFree()
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await work(interrupted, outbox, gpus, fileSystem)) } catch {
            outcome = .failure(error)
        }
        await gpus.release(logger)
        try outcome.get()
    }

    private func work(
        _ interrupted: Interruption, _ outbox: Outbox, _ gpus: SlotGPUs, _ fileSystem: LocalFileSystem
    ) async throws {
        let returned = ReturnedTasks()
        let workers = try slots.map { try worker($0, outbox, fileSystem, returned) }
        let controls = Controls()
        let watching = Task { await watch(interrupted, workers, controls) }
        defer { watching.cancel() }
        let adopted = try await recover(outbox, interrupted)
        logger.notice("worker \(name) takes tasks from \(address)")
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (slot, worker) in zip(slots, workers) {
                    let own = adopted.filter { $0.keeper.worker == slot.name }
                    group.addTask {
                        await finish(own, controls)
                        try await gpus.wait(for: slot.gpu)
                        try await worker.run()
                    }
                }
                // Of slots that there are no more.
                let others = adopted.filter { attempt in !slots.contains { $0.name == attempt.keeper.worker } }
                group.addTask { await finish(others, controls) }
                group.addTask { try await gpus.takeGuarded() }
                try await group.waitForAll()
            }
        } catch let error as WorkerPortError { throw VerbFailure(error.description, status: 1) }
        logger.notice("worker \(name) has ended")
    }

    private func worker(
        _ slot: WorkerSlots.Slot, _ outbox: Outbox, _ fileSystem: LocalFileSystem, _ returned: ReturnedTasks
    ) throws -> LocalWorker {
        let settings = ProgramRunner.Settings(
            dataDirectory: directory, command: command, host: hostName(), gpu: slot.gpu, logBytes: logBytes)
        let runner: any AttemptRunner =
            switch orphans {
            case .adopt: try KeptProgramRunner(settings: settings, outbox: outbox, on: fileSystem)
            case .kill: try ProgramRunner(settings: settings, outbox: outbox, on: fileSystem)
            }
        return LocalWorker(
            settings: LocalWorker.Settings(
                name: slot.name, heartbeat: heartbeat, idleLimit: idleLimit, budget: budget, returned: returned),
            port: TCPPort(address, token: token, gpu: slot.gpu), runner: runner, outbox: outbox, logger: logger)
    }

    private func finish(_ adopted: [AdoptedAttempt], _ controls: Controls) async {
        await withTaskGroup(of: Void.self) { group in
            for attempt in adopted { group.addTask { await attempt.finish(controls.make()) } }
        }
    }

    /// By which programs that were taken up are stopped.
    private final class Controls: Sendable {
        private let state = Mutex((isStopped: false, all: [ProgramControl]()))

        func make() -> ProgramControl {
            let control = ProgramControl()
            let isStopped = state.withLock { state in
                state.all.append(control)
                return state.isStopped
            }
            if isStopped { control.stop(.drained) }
            return control
        }

        func stopAll() {
            let all = state.withLock { state in
                state.isStopped = true
                return state.all
            }
            for control in all { control.stop(.drained) }
        }
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

    private func recover(_ outbox: Outbox, _ interrupted: Interruption) async throws -> [AdoptedAttempt] {
        let found: OutboxRecovery
        do { found = try await outbox.recover(adopts: orphans == .adopt) } catch {
            throw VerbFailure("\(error)", status: 1)
        }
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
            do throws(FileError) { try outbox.keep(returned) } catch {
                // On a full disk it is told all the same; told twice after one more crash harms nobody.
                logger.warning("an attempt's end cannot be kept: \(error)")
            }
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
        return found.adopted.map { keeper in
            logger.notice(
                "attempt \(keeper.reference.attempt) of task \(keeper.reference.task) still runs: it is taken up again")
            return AdoptedAttempt(
                keeper: keeper, port: TCPPort(address, token: token), outbox: outbox, heartbeat: heartbeat,
                logger: logger)
        }
    }

    private func watch(_ interrupted: Interruption, _ workers: [LocalWorker], _ controls: Controls) async {
        var isRetiring = false
        while !Task.isCancelled {
            if interrupted.isRequested, !isRetiring {
                isRetiring = true
                logger.notice("no more tasks are taken; once more stops the program that runs")
                for worker in workers { worker.retire() }
            }
            if interrupted.isInsisted {
                for worker in workers { worker.drain() }
                controls.stopAll()
                return
            }
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
        }
    }
}
