import EventLog

/// What becomes of what workers report.
extension ManagerState {
    /// Which attempt a report speaks for.
    public struct Speaker: Sendable, Equatable {
        /// The worker's name; nil where the request has none.
        public var worker: String?
        /// The attempt; nil: the worker's latest of the task.
        public var attempt: UInt32?

        /// Makes one from its parts.
        public init(worker: String?, attempt: UInt32? = nil) {
            self.worker = worker
            self.attempt = attempt
        }
    }

    /// What is done with a report.
    public enum Report: Sendable, Equatable {
        /// These events; `late` where the attempt was not running any more.
        case events([Event], late: Bool)
        /// It is known already; nothing is written.
        case duplicate
        /// Nothing is written, and the old form of the protocol is answered `ack`.
        case ignored(Rejection)
    }

    /// Finds the attempt that a report speaks for. Throws 404 for an unknown task, 409 for a pair of worker and attempt
    /// that was never assigned. Attempt 0: this worker never had the task (only where no attempt was named).
    func resolve(_ task: String, _ speaker: Speaker) throws(Rejection) -> (
        number: Int, worker: String?, attempt: UInt32
    ) {
        guard let number = taskNumber(task) else { throw Rejection(.unknownTask, "there is no task \(task)") }
        let record = tasks[number]
        let pairs = knownAttempts(record)
        if let attempt = speaker.attempt {
            guard
                let pair = pairs.last(where: {
                    $0.attempt == attempt && (speaker.worker == nil || name($0.worker) == speaker.worker)
                })
            else {
                throw Rejection(
                    .conflict,
                    "attempt \(attempt) of task \(task) was never assigned to \(speaker.worker ?? "anybody")")
            }
            return (number, name(pair.worker) ?? speaker.worker, attempt)
        }
        guard let worker = speaker.worker else {
            guard let last = pairs.last else { return (number, nil, 0) }
            return (number, name(last.worker), last.attempt)
        }
        guard let own = pairs.last(where: { name($0.worker) == worker }) else { return (number, worker, 0) }
        return (number, worker, own.attempt)
    }

    private func name(_ worker: UInt32) -> String? { worker == TaskRecord.none ? nil : workerNames.text(Int(worker)) }

    /// Every attempt that is known with its worker, by number.
    private func knownAttempts(_ record: TaskRecord) -> [(attempt: UInt32, worker: UInt32)] {
        var pairs = endedAttempts(record).filter { $0.attempt > 0 }.map { ($0.attempt, $0.worker) }
        if record.attempt > 0, record.assignedAt != TaskRecord.never, pairs.last?.0 != record.attempt {
            pairs.append((record.attempt, record.worker))
        }
        return pairs
    }

    /// The latest attempt of a task and its worker; 0 and nil where it was never assigned, nil also where the attempt
    /// completed the task before it was opened again.
    func latestAttempt(_ number: Int) -> (worker: String?, attempt: UInt32) {
        let latest = tasks[number].attempt
        return (knownAttempts(tasks[number]).last { $0.attempt == latest }.flatMap { name($0.worker) }, latest)
    }

    /// Decides on a completion.
    public func decideComplete(
        _ task: String, by speaker: Speaker, result: [UInt8]?, via: String = "worker",
        provenance: Event.Provenance = Event.Provenance()
    ) throws(Rejection) -> Report {
        let (number, worker, attempt) = try resolve(task, speaker)
        let record = tasks[number]
        switch record.status {
        case .cancelled:
            throw Rejection(.conflict, "task \(task) is cancelled; its completion is not taken")
        case .complete:
            guard let result, !record.hasResult else { return .duplicate }
            return .events([.result(task: task, worker: worker, attempt: attempt, result: result)], late: false)
        case .pending, .assigned, .held, .failed:
            var completion = Event.Completion(task: task, worker: worker, attempt: attempt)
            completion.result = result
            completion.via = via
            completion.isLate = !isRunning(number, attempt)
            completion.provenance = provenance
            return .events([.completed(completion)], late: completion.isLate)
        }
    }

    /// Decides on a failure: of a running attempt only. `failed` and, with retries left, `requeued` are one command.
    public func decideFail(
        _ task: String, by speaker: Speaker, error: String, provenance: Event.Provenance = Event.Provenance()
    ) throws(Rejection) -> Report {
        let (number, worker, attempt) = try resolve(task, speaker)
        let record = tasks[number]
        guard isRunning(number, attempt) else {
            let failedBefore = endedAttempts(record).contains { $0.attempt == attempt && $0.outcome == .failed }
            if failedBefore { return .duplicate }
            return .ignored(notRunning(task, attempt, record))
        }
        var failure = Event.Failure(task: task, worker: worker, attempt: attempt, error: Bounds.boundedError(error))
        failure.provenance = provenance
        var events: [Event] = [.failed(failure)]
        if Int64(record.retryCount) + 1 <= Int64(templates[Int(record.template)].maxRetries) {
            events.append(.requeued(task: task, reason: .retry))
        }
        return .events(events, late: false)
    }

    /// Decides on giving a running attempt back.
    public func decideReturn(_ task: String, by speaker: Speaker) throws(Rejection) -> Report {
        let (number, _, attempt) = try resolve(task, speaker)
        guard isRunning(number, attempt) else { return .ignored(notRunning(task, attempt, tasks[number])) }
        return .events([.requeued(task: task, reason: .returned)], late: false)
    }

    /// Whether a heartbeat's attempt is to go on: throws 409 where it is not running; true: its program is to stop.
    public func decideHeartbeat(_ task: String, by speaker: Speaker) throws(Rejection) -> (
        attempt: UInt32, cancel: Bool
    ) {
        let (number, _, attempt) = try resolve(task, speaker)
        if isRunning(number, attempt) { return (attempt, false) }
        if tasks[number].status == .cancelled, tasks[number].attempt == attempt { return (attempt, true) }
        var refusal = notRunning(task, attempt, tasks[number])
        if tasks[number].status == .pending, tasks[number].attempt == attempt {
            let last = endedAttempts(tasks[number]).last
            refusal.isUnclaimedLoss = last.map { $0.outcome == .stale || $0.outcome == .workerLost } ?? false
        }
        throw refusal
    }

    private func notRunning(_ task: String, _ attempt: UInt32, _ record: TaskRecord) -> Rejection {
        Rejection(
            .conflict,
            "attempt \(attempt) of task \(task) is not running: the task is \(record.status.word), its latest attempt is \(record.attempt)"
        )
    }

    /// What an operator does to one task.
    public enum Operation: String, Sendable, CaseIterable {
        case cancel, hold, release, requeue, retry, priority
    }

    /// Decides on an operator's act: the events, none where it is so already.
    public func decide(_ operation: Operation, _ task: String, priority: Int = 0) throws(Rejection) -> [Event] {
        guard let number = taskNumber(task) else { throw Rejection(.unknownTask, "there is no task \(task)") }
        let status = tasks[number].status
        switch (operation, status) {
        case (.cancel, .pending), (.cancel, .assigned), (.cancel, .held), (.cancel, .failed):
            return [.cancelled(task: task, reason: nil)]
        case (.hold, .pending): return [.held(task: task, reason: nil)]
        case (.release, .held): return [.released(task: task)]
        case (.requeue, .assigned), (.requeue, .failed), (.requeue, .cancelled), (.requeue, .complete),
            (.retry, .failed), (.retry, .cancelled):
            return [.requeued(task: task, reason: .operator)]
        case (.priority, _):
            return Int(tasks[number].priority) == priority ? [] : [.prioritised(task: task, priority: priority)]
        case (.cancel, .cancelled), (.hold, .held), (.release, .pending), (.requeue, .pending), (.retry, .pending):
            return []
        default:
            throw Rejection(.conflict, "task \(task) is \(status.word); \(operation.rawValue) does not apply")
        }
    }
}
