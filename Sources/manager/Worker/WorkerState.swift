/// What one slot of a worker is doing, and what it does next. Pure: what happens comes in, what is to be done goes
/// out; the shell (`LocalWorker`) does it and reports back.
///
/// ```
/// claiming ─task─► running ─end─► keeping ─► delivering ─answer─► forgetting ─► claiming …
///    └─none, unavailable─► pausing ─►┘                └─unavailable─► pausing ─► delivering
/// ```
/// Retiring takes nothing new and finishes what runs. Draining takes nothing new either: a claim is called off, a program
/// is stopped and its task given back, and what stands to be delivered is tried a few times more; what the manager then
/// still has not taken stays in the outbox.
struct WorkerState: Sendable {
    /// Where the slot stands.
    enum Phase: Sendable, Equatable {
        /// Not begun.
        case idle
        /// A claim is under way.
        case claiming
        /// A program runs.
        case running(ClaimedTask)
        /// The outcome is being written to the outbox.
        case keeping(KeptOutcome)
        /// The outcome is with the manager.
        case delivering(KeptOutcome, failures: Int)
        /// The outcome is being removed from the outbox.
        case forgetting(KeptOutcome)
        /// Waiting before the next claim, or before the next try of a delivery.
        case pausing(KeptOutcome?, failures: Int)
        /// Nothing more happens.
        case ended
    }

    /// What has happened.
    enum Input: Sendable, Equatable {
        /// The worker begins.
        case begin
        /// A claim was answered; nil: no task within its wait.
        case claimed(ClaimedTask?)
        /// A claim was not answered.
        case claimFailed(WorkerPortError)
        /// A heartbeat's answer: the running attempt is to stop.
        case attemptLost(AttemptReference)
        /// The program has ended.
        case ended(ProgramRunner.End)
        /// The outcome is on disk, or cannot be put there (which the shell has logged).
        case kept
        /// The manager has answered a delivery.
        case answered(DeliveryAnswer)
        /// The outcome is off the disk.
        case forgotten
        /// A pause is over.
        case pauseOver
        /// The worker is to end after the attempt that it has.
        case retire
        /// The worker is to shut down now.
        case drain
    }

    /// What is to be done; each is answered by one input, but for `stop`, `callOffClaim`, `endPause` and `finish`.
    enum Effect: Sendable, Equatable {
        /// Ask for one task.
        case claim
        /// Make the claim under way end soon.
        case callOffClaim
        /// Run the program, with heartbeats.
        case run(ClaimedTask)
        /// Stop the program that runs.
        case stop(StopReason)
        /// Write the outcome to the outbox.
        case keep(KeptOutcome)
        /// Remove what an attempt needed that interests nobody; answered by `forgotten`.
        case discard(AttemptReference)
        /// Say it to the manager.
        case deliver(KeptOutcome)
        /// Remove it from the outbox.
        case forget(AttemptReference)
        /// Wait as long as so many failures in a row are worth.
        case pause(failures: Int)
        /// Make the pause end now.
        case endPause
        /// Nothing more will be done; the text is an error that ended the worker.
        case finish(error: String?)
    }

    /// How many times a delivery is tried while draining or retiring.
    static let leavingTries = 3

    /// The worker's name.
    let worker: String
    /// Where the slot stands.
    private(set) var phase = Phase.idle
    private var isDraining = false
    private var isRetiring = false
    /// True where nothing new is taken any more.
    private var isLeaving: Bool { isDraining || isRetiring }
    private var claimFailures = 0
    /// Ends in a row that speak of trouble with this machine: given back by the program, or hindered by the disk.
    private var unwellEnds = 0
    /// How often in a row the last task was given back, also by other slots.
    private var timesReturned = 0

    /// Makes the state of a slot that has not begun.
    init(worker: String) {
        self.worker = worker
    }

    /// Takes what has happened and says what is to be done now. An input that does not fit the phase was overtaken
    /// by another (a heartbeat's answer after the program's end): nothing is to be done.
    mutating func handle(_ input: Input) -> [Effect] {
        switch (phase, input) {
        case (.idle, .begin): return claimNext()
        case (.claiming, .claimed(let task?)): return begin(task)
        case (.claiming, .claimed(nil)):
            claimFailures = 0
            return claimNext()
        case (.claiming, .claimFailed(let error)): return claimFailed(error)
        case (.running(let task), .attemptLost(let lost)) where lost == task.reference: return [.stop(.superseded)]
        case (.running(let task), .ended(let end)): return ended(task, end)
        case (.keeping(let outcome), .kept): return deliver(outcome, failures: 0)
        case (.delivering(let outcome, let failures), .answered(let answer)):
            return answered(outcome, answer, failures: failures + 1)
        case (.forgetting, .forgotten): return afterAttempt()
        case (.pausing(let outcome, let failures), .pauseOver):
            return outcome.map { deliver($0, failures: failures) } ?? claimNext()
        case (_, .retire): return retire()
        case (_, .drain): return drain()
        default: return []
        }
    }

    private mutating func claimNext() -> [Effect] {
        guard !isLeaving else { return finish(error: nil) }
        phase = .claiming
        return [.claim]
    }

    private mutating func begin(_ task: ClaimedTask) -> [Effect] {
        claimFailures = 0
        guard isLeaving else {
            phase = .running(task)
            return [.run(task)]
        }
        // The claim was answered before it could be called off: nothing has run, so nothing needs keeping.
        let report = RunReport(host: "", durationSeconds: 0)
        return deliver(
            KeptOutcome(worker: worker, reference: task.reference, outcome: .returned, report: report), failures: 0)
    }

    private mutating func claimFailed(_ error: WorkerPortError) -> [Effect] {
        if isLeaving { return finish(error: nil) }
        switch error {
        case .refused: return finish(error: error.description)
        case .unavailable:
            claimFailures += 1
            return pause(nil, failures: claimFailures)
        }
    }

    private mutating func ended(_ task: ClaimedTask, _ end: ProgramRunner.End) -> [Effect] {
        timesReturned = end.timesReturned
        guard let outcome = end.outcome else {
            phase = .forgetting(
                KeptOutcome(worker: worker, reference: task.reference, outcome: .returned, report: end.report))
            return [.discard(task.reference)]
        }
        // A program that gives its task back at once would get it again at once, for ever, here or in the next slot.
        unwellEnds = outcome == .returned || end.hostTrouble != nil ? unwellEnds + 1 : 0
        let kept = KeptOutcome(
            worker: worker, reference: task.reference, outcome: outcome, report: end.report)
        phase = .keeping(kept)
        return [.keep(kept)]
    }

    private mutating func deliver(_ outcome: KeptOutcome, failures: Int) -> [Effect] {
        phase = .delivering(outcome, failures: failures)
        return [.deliver(outcome)]
    }

    private mutating func answered(_ outcome: KeptOutcome, _ answer: DeliveryAnswer, failures: Int) -> [Effect] {
        switch answer {
        case .accepted, .refused:
            phase = .forgetting(outcome)
            return [.forget(outcome.reference)]
        case .unavailable:
            if isLeaving && failures >= Self.leavingTries { return finish(error: nil) }
            return pause(outcome, failures: failures)
        }
    }

    private mutating func afterAttempt() -> [Effect] {
        let failures = max(unwellEnds, timesReturned)
        return failures > 0 && !isLeaving ? pause(nil, failures: failures) : claimNext()
    }

    private mutating func pause(_ outcome: KeptOutcome?, failures: Int) -> [Effect] {
        phase = .pausing(outcome, failures: failures)
        return [.pause(failures: failures)]
    }

    private mutating func retire() -> [Effect] {
        guard !isLeaving else { return [] }
        isRetiring = true
        if case .running = phase { return [] }
        return leave()
    }

    private mutating func drain() -> [Effect] {
        guard !isDraining else { return [] }
        let wasRetiring = isRetiring
        isDraining = true
        if case .running = phase { return [.stop(.drained)] }
        return wasRetiring ? [] : leave()
    }

    /// What is left to do at once when nothing new is taken any more, outside a run.
    private mutating func leave() -> [Effect] {
        switch phase {
        case .idle: return finish(error: nil)
        case .claiming: return [.callOffClaim]
        case .pausing(let outcome, _):
            // The tries while leaving are counted anew.
            phase = .pausing(outcome, failures: 0)
            return [.endPause]
        case .delivering(let outcome, _):
            phase = .delivering(outcome, failures: 0)
            return []
        case .running, .keeping, .forgetting, .ended: return []
        }
    }

    private mutating func finish(error: String?) -> [Effect] {
        phase = .ended
        return [.finish(error: error)]
    }
}
