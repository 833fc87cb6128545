import EventLog

/// Who gets which task.
extension ManagerState {
    /// What a worker says when it asks for tasks.
    public struct ClaimRequest: Sendable, Equatable {
        /// The worker's name; nil where there is none.
        public var worker: String
        /// How many at most.
        public var count: Int
        /// The GPU's number.
        public var gpu: Int64?
        /// The interval of heartbeats that the worker announced, in seconds.
        public var heartbeatSeconds: Double?
        /// The machine's name.
        public var host: String?
        /// What the claim is called, so that a repetition gets the same; nil: nothing is remembered.
        public var key: String?
        /// A task that this worker has failed after this moment is passed over: another worker may have it first. Nil:
        /// none is.
        public var passesOwnFailuresAfter: LogTime?

        /// Makes one from its parts.
        public init(worker: String, count: Int = 1) {
            self.worker = worker
            self.count = count
        }
    }

    /// A task as it is handed out.
    public struct ClaimedTask: Sendable, Equatable {
        /// The task's id.
        public var id: String
        /// The phase's name.
        public var phase: String
        /// The config, a JSON object.
        public var config: [UInt8]
        /// The seed, as JSON.
        public var seed: [UInt8]
        /// A JSON array of directories.
        public var outputDirectories: [String]
        /// The attempt's number; 0: never assigned.
        public var attempt: UInt32
        /// Seconds that the attempt may run; nil for no limit.
        public var timeoutSeconds: Double?
        /// A JSON array of the program and its arguments.
        public var command: [String]?
        /// The variables for the program.
        public var environment: [EnvironmentVariable]
        /// The program's working directory.
        public var workingDirectory: String?
    }

    /// The tasks that a claim gets: takes them from the order of claims; the events must be applied.
    /// Empty when nothing can be claimed; `passedOver`: how many it could have had but for its own failures.
    public mutating func decideClaim(
        _ request: ClaimRequest
    ) -> (events: [Event], tasks: [ClaimedTask], passedOver: Int) {
        var events: [Event] = []
        var claimed: [ClaimedTask] = []
        var passedOver: [Int] = []
        while claimed.count < request.count, let number = takeClaimable() {
            if passedOver.count < Self.mostPassedOver, isPassedOver(number, by: request) {
                passedOver.append(number)
                continue
            }
            let attempt = tasks[number].attempt &+ 1
            let task = claimedTask(number, attempt: attempt)
            var assignment = Event.Assignment(task: task.id, worker: request.worker, attempt: attempt)
            assignment.gpu = request.gpu
            assignment.heartbeatSeconds = request.heartbeatSeconds
            assignment.host = request.host
            assignment.claimKey = request.key
            events.append(.assigned(assignment))
            claimed.append(task)
        }
        for number in passedOver { claimOrder.add(number, of: tasks[number], gate: gate(number)) }
        return (events, claimed, passedOver.count)
    }

    /// So many tasks are passed over by one claim at most: its cost is bounded.
    private static let mostPassedOver = 100

    private func isPassedOver(_ number: Int, by request: ClaimRequest) -> Bool {
        guard let moment = request.passesOwnFailuresAfter, tasks[number].endedAttempts != TaskRecord.none else {
            return false
        }
        let last = attempts[Int(tasks[number].endedAttempts)]
        return last.outcome == .failed && last.endedAt > moment.microseconds && last.worker != TaskRecord.none
            && workerNames.text(Int(last.worker)) == request.worker
    }

    /// How many attempts of a worker have failed in a row; 0 for one that has never come.
    public func failuresInRow(of worker: String) -> Int64 {
        workerNames.number(of: worker).map { workers[$0].failuresInRow } ?? 0
    }

    /// The workers whose last so many attempts, or more, have failed; none for 0.
    public func workers(failedInRow count: Int) -> Set<String> {
        guard count > 0 else { return [] }
        let failing = workers.indices.filter { workers[$0].failuresInRow >= Int64(count) }
        return Set(failing.map { workerNames.text($0) })
    }

    /// The event by which a worker gets work again; none where nothing keeps it. Throws 404 for an unknown one.
    public func decideRelease(worker: String) throws(Rejection) -> [Event] {
        guard let number = workerNames.number(of: worker) else {
            throw Rejection(.unknownTask, "there is no worker \(worker)")
        }
        guard workers[number].failuresInRow > 0 else { return [] }
        var name: [UInt8] = []
        appendJSONString(worker, to: &name)
        return [.note(type: Event.workerReleased, members: [("worker", name)])]
    }

    /// Whether a pending task could be claimed now, without taking it.
    public var hasClaimable: Bool {
        var copy = self
        return copy.takeClaimable() != nil
    }

    /// The number of the next task in order, taken from the order; nil when there is none.
    mutating func takeClaimable() -> Int? {
        if !claimOrder.isBuilt {
            var order = ClaimOrder()
            order.build(from: self)
            claimOrder = order
        }
        var order = ClaimOrder()
        swap(&order, &claimOrder)
        defer { swap(&order, &claimOrder) }
        return order.takeFirst(
            isOpen: { isOpen(gate: $0) },
            isCurrent: { tasks[Int($0)].status == .pending && tasks[Int($0)].priority == $1 }
        ).map { Int($0) }
    }

    /// Puts tasks back into the order when their claim is not written after all.
    public mutating func putBack(_ ids: [String]) {
        for id in ids {
            guard let number = taskNumber(id) else { continue }
            claimOrder.add(number, of: tasks[number], gate: gate(number))
        }
    }

    /// Whether all phases of a gate are complete.
    func isOpen(gate: UInt32) -> Bool {
        guard gate != TaskRecord.none else { return true }
        return words.with(Int(gate)) { Self.strings($0) }.allSatisfy { name in
            guard let counts = counts(ofPhase: name) else { return false }
            return counts.total > 0 && counts[.complete] == counts.total
        }
    }

    /// A task as it is handed out with an attempt.
    func claimedTask(_ number: Int, attempt: UInt32) -> ClaimedTask {
        let task = tasks[number]
        let template = templates[Int(task.template)]
        func json(_ word: UInt32) -> [UInt8]? { word == TaskRecord.none ? nil : words.with(Int(word)) { Array($0) } }
        return ClaimedTask(
            id: ids.text(number), phase: phaseNames.text(Int(template.phase)), config: texts.bytes(task.config),
            seed: json(task.seed) ?? [],
            outputDirectories: words.with(Int(task.outputDirectories)) { Self.strings($0) },
            attempt: attempt,
            timeoutSeconds: json(template.timeout).flatMap { Double(String(decoding: $0, as: UTF8.self)) },
            command: json(template.command).map { $0.withUnsafeBufferPointer { Self.strings($0) } },
            environment: json(template.environment).map { Self.environment($0) } ?? [],
            workingDirectory: template.workingDirectory == TaskRecord.none
                ? nil : words.text(Int(template.workingDirectory)))
    }

    static func environment(_ json: [UInt8]) -> [EnvironmentVariable] {
        json.withUnsafeBufferPointer { buffer in
            var variables: [EnvironmentVariable] = []
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    variables.append(EnvironmentVariable(name: key, value: try reader.string()))
                }
            } catch { return [] }
            return variables
        }
    }

    /// What a worker that claims has lost of what is assigned to it.
    public enum Lost: Sendable {
        /// Nothing: it may hold several tasks at once.
        case nothing
        /// What it was given by an earlier run of the manager and has given no sign of since.
        case fromEarlierRun
        /// Everything: the worker has just started and runs nothing.
        case everything
    }

    /// The events by which a worker loses what it holds. `hasSign`: whether the attempt has been heard of in this run.
    public func decideLost(
        _ lost: Lost, worker: String, poisonAfter: Int, hasSign: (String, UInt32) -> Bool
    ) -> [Event] {
        if case .nothing = lost { return [] }
        guard let number = workerNames.number(of: worker), let start else { return [] }
        var events: [Event] = []
        for task in workers[number].holding {
            let record = tasks[Int(task)]
            guard record.status == .assigned else { continue }
            if case .fromEarlierRun = lost {
                guard record.assignedAt < start.time, !hasSign(ids.text(Int(task)), record.attempt) else { continue }
            }
            events.append(contentsOf: loss(Int(task), .workerLost, poisonAfter: poisonAfter))
        }
        return events
    }

    /// The events of one loss: `requeued`, and `held` where it is one too many in a row.
    func loss(
        _ number: Int, _ reason: RequeueReason, _ silence: Event.Silence? = nil, poisonAfter: Int
    ) -> [Event] {
        let id = ids.text(number)
        var events: [Event] = [.requeued(task: id, reason: reason, silence: silence)]
        if poisonAfter > 0, Int(losses[UInt32(number)] ?? 0) + 1 >= poisonAfter {
            events.append(.held(task: id, reason: "poison"))
        }
        return events
    }

    /// A running attempt and how long ago it was assigned.
    public struct RunningAttempt: Sendable, Equatable {
        /// The task's id.
        public var task: String
        /// Its phase.
        public var phase: String
        /// The worker's name; nil where there is none.
        public var worker: String?
        /// The attempt's number; 0: never assigned.
        public var attempt: UInt32
        /// When it was assigned.
        public var assignedAt: LogTime
        /// The interval of heartbeats that its worker announced, in seconds; nil where it announced none.
        public var heartbeatSeconds: Double?
    }

    /// All running attempts, in the order of adding.
    public var runningAttempts: [RunningAttempt] {
        guard counts[.assigned] > 0 else { return [] }
        var running: [RunningAttempt] = []
        for number in 0..<tasks.count where tasks[number].status == .assigned {
            let task = tasks[number]
            running.append(
                RunningAttempt(
                    task: ids.text(number), phase: phaseNames.text(Int(phase(of: number))),
                    worker: task.worker == TaskRecord.none ? nil : workerNames.text(Int(task.worker)),
                    attempt: task.attempt, assignedAt: LogTime(microseconds: task.assignedAt),
                    heartbeatSeconds: task.heartbeat == TaskRecord.none ? nil : Double(words.text(Int(task.heartbeat))))
            )
        }
        return running
    }

    /// The events that requeue a running attempt that was lost; none where it is not running any more.
    public func decideLoss(
        _ task: String, attempt: UInt32, _ reason: RequeueReason, _ silence: Event.Silence? = nil, poisonAfter: Int
    ) -> [Event] {
        guard let number = taskNumber(task), isRunning(number, attempt) else { return [] }
        return loss(number, reason, silence, poisonAfter: poisonAfter)
    }
}
