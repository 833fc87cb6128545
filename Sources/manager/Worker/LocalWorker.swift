import EventLog
import Logging

/// One slot of a worker: claims a task, runs its program, delivers the end, and again, until it is drained.
///
/// The decisions are `WorkerState`'s; this carries them out. `run` may be called once. `drain` may be called from
/// anywhere, at any time, more than once. When `run` returns no program runs; a last heartbeat may still be on its way.
actor LocalWorker {
    /// How a worker works.
    struct Settings: Sendable {
        /// The name by which the manager knows it.
        var name: String
        /// How long a claim waits for a task.
        var claimWait: Duration = .seconds(30)
        /// The interval of heartbeats, which is announced with a claim.
        var heartbeat: Duration = .seconds(10)
        /// The waits between tries.
        var backoff = Backoff()
        /// Ends when no task came for so long; nil: waits for ever.
        var idleLimit: Duration?
        /// How many tasks it and others that share it may still take; nil: any number.
        var budget: TaskBudget?
        /// What it and others that share it have given back.
        var returned = ReturnedTasks()
    }

    private let settings: Settings
    private let port: any WorkerPort
    /// The attempt whose end the manager was told last, or was to be told.
    private var lastTried: AttemptReference?
    private let runner: any AttemptRunner
    private let outbox: Outbox
    private let courier: OutcomeCourier
    private let logger: Logger
    private let inputs: AsyncStream<WorkerState.Input>
    private let report: AsyncStream<WorkerState.Input>.Continuation

    private var state: WorkerState
    private var claim: Task<Void, Never>?
    /// Why the last claims got nothing, which is said once; nil where the last one was answered.
    private var toldFailure: WorkerPortError?
    private var idleSince = ContinuousClock.now
    private var pause: Task<Void, Never>?
    private var program: (control: ProgramControl, heartbeats: Task<Void, Never>)?

    /// Makes a slot. The outbox may be shared with other slots of the same process.
    init(settings: Settings, port: any WorkerPort, runner: any AttemptRunner, outbox: Outbox, logger: Logger) {
        self.settings = settings
        self.port = port
        self.runner = runner
        self.outbox = outbox
        self.logger = logger
        courier = OutcomeCourier(port: port, outbox: outbox, logger: logger, backoff: settings.backoff)
        state = WorkerState(worker: settings.name)
        (inputs, report) = AsyncStream.makeStream()
    }

    /// Works until it is drained, or the calling task is cancelled, which drains it too. Throws when the manager
    /// refuses the worker.
    func run() async throws(WorkerPortError) {
        // The loop sits in a task that is never cancelled: draining needs its inputs to the last.
        let loop = Task { await work() }
        let refusal = await withTaskCancellationHandler {
            await loop.value
        } onCancel: {
            drain()
        }
        if let refusal { throw .refused(refusal) }
    }

    /// Takes no more tasks; a program that runs is stopped and its task given back. Returns at once: `run` returns
    /// when all is done.
    nonisolated func drain() { report.yield(.drain) }

    /// Takes no more tasks, but finishes the one that runs. Returns at once: `run` returns when all is done.
    nonisolated func retire() { report.yield(.retire) }

    private func work() async -> String? {
        report.yield(.begin)
        for await input in inputs {
            for effect in state.handle(input) {
                if case .finish(let error) = effect {
                    report.finish()
                    return error
                }
                perform(effect)
            }
        }
        return nil
    }

    private func perform(_ effect: WorkerState.Effect) {
        switch effect {
        case .claim: claim = Task { await claimOne() }
        case .callOffClaim: claim?.cancel()
        case .run(let task): run(task)
        case .stop(let reason): program?.control.stop(reason)
        case .keep(let outcome): keep(outcome)
        case .discard(let reference):
            Task {
                await courier.onDisk("remove a run's files", reference) { [outbox] () throws(FileError) in
                    try outbox.removeRunFiles(of: reference)
                }
                report.yield(.forgotten)
            }
        case .deliver(let outcome):
            let isRepeated = outcome.reference == lastTried
            lastTried = outcome.reference
            Task { report.yield(.answered(await courier.deliver(outcome, isRepeated: isRepeated))) }
        case .forget(let reference):
            Task {
                await courier.forget(reference)
                report.yield(.forgotten)
            }
        case .pause(let failures): pause(afterFailures: failures)
        case .endPause: pause?.cancel()
        case .finish: preconditionFailure("the loop itself finishes")
        }
    }

    private func claimOne() async {
        guard settings.budget?.take() ?? true else { return retireAfterClaim() }
        do throws(WorkerPortError) {
            let tasks = try await port.claim(
                worker: settings.name, count: 1,
                wait: min(settings.claimWait, settings.idleLimit ?? settings.claimWait),
                heartbeat: settings.heartbeat)
            if toldFailure != nil {
                toldFailure = nil
                logger.notice("the manager answers again", metadata: ["worker": "\(settings.name)"])
            }
            precondition(tasks.count <= 1, "the manager gave \(tasks.count) tasks where one was asked for")
            if tasks.isEmpty {
                settings.budget?.giveBack()
                if isIdleTooLong { return retireAfterClaim() }
            }
            report.yield(.claimed(tasks.first))
        } catch {
            settings.budget?.giveBack()
            if isIdleTooLong, error.isTemporary { return retireAfterClaim() }
            if error != toldFailure {
                toldFailure = error
                logger.warning(
                    "\(error)\(error.isTemporary ? "; it is asked again until it does" : "")",
                    metadata: ["worker": "\(settings.name)"])
            }
            report.yield(.claimFailed(error))
        }
    }

    private var isIdleTooLong: Bool { settings.idleLimit.map { ContinuousClock.now - idleSince >= $0 } ?? false }

    private func retireAfterClaim() {
        report.yield(.retire)
        report.yield(.claimed(nil))
    }

    private func run(_ task: ClaimedTask) {
        let control = ProgramControl()
        let heartbeats = Task { await beat(task.reference) }
        program = (control, heartbeats)
        Task {
            var end = await runner.run(task, worker: settings.name, control: control)
            end.timesReturned = settings.returned.note(task.id, isReturned: end.outcome == .returned)
            heartbeats.cancel()
            program = nil
            idleSince = ContinuousClock.now
            if let trouble = end.hostTrouble {
                logger.warning(
                    "trouble with a run: \(trouble)",
                    metadata: ["task": "\(task.id)", "attempt": "\(task.attempt)", "worker": "\(settings.name)"])
            }
            report.yield(.ended(end))
        }
    }

    /// Heartbeats until it is cancelled. The manager may hold a heartbeat for as long as its interval, and answer at
    /// once when the attempt is to stop.
    private func beat(_ reference: AttemptReference) async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let next = clock.now + settings.heartbeat
            let answers = await port.heartbeat(
                worker: settings.name, attempts: [reference], progress: outbox.progress(of: reference),
                wait: settings.heartbeat)
            if answers.first == .stop {
                report.yield(.attemptLost(reference))
                return
            }
            // Cancelled in its sleep: the program has ended, and the loop's condition says so.
            do { try await clock.sleep(until: next) } catch { return }
        }
    }

    private func keep(_ outcome: KeptOutcome) {
        Task {
            // An end that cannot be put on disk is delivered all the same: kept in memory it is safe from all but a
            // crash, after which its attempt is run again.
            await courier.onDisk("keep an attempt's end", outcome.reference) { [outbox] () throws(FileError) in
                try outbox.keep(outcome)
            }
            report.yield(.kept)
        }
    }

    private func pause(afterFailures failures: Int) {
        let delay = settings.backoff.delay(afterFailures: failures, jitter: Double.random(in: 0...1))
        pause = Task {
            do { try await Task.sleep(for: delay) } catch is CancellationError {
                // The pause was cut short: that is how it ends when draining.
            } catch { preconditionFailure("sleep threw \(error)") }
            report.yield(.pauseOver)
        }
    }
}
