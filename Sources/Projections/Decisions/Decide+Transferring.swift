import EventLog

/// What gives another journal the tasks of this state.
extension ManagerState {
    /// A task's content, as it was asked for.
    public func spec(of number: Int) -> TaskSpec {
        let task = tasks[number]
        let template = templates[Int(task.template)]
        var spec = TaskSpec(
            id: ids.text(number), phase: phaseNames.text(Int(template.phase)), config: texts.bytes(task.config),
            seed: words.with(Int(task.seed)) { Array($0) },
            outputDirectories: words.with(Int(task.outputDirectories)) { Self.strings($0) })
        spec.priority = Int(task.priority)
        spec.maxRetries = Int(template.maxRetries)
        spec.timeoutSeconds = json(template.timeout).flatMap { Double(String(decoding: $0, as: UTF8.self)) }
        spec.after = list(template.after) ?? []
        spec.command = list(template.command)
        spec.key = list(template.key)
        spec.workingDirectory = json(template.workingDirectory).map { String(decoding: $0, as: UTF8.self) }
        if let environment = json(template.environment) { spec.environment = Self.environment(environment) }
        return spec
    }

    /// The events of one task, in order, that give it this state in a journal that does not know it: its attempts with
    /// their workers and times, status, retry_count and last_error.
    ///
    /// A completion carries no result: no row is owed. What the events' own times say (finished_at, added_at) is when they
    /// are written.
    public func transferEvents(of number: Int) -> [Event] {
        let task = tasks[number]
        let spec = spec(of: number)
        let id = ids.text(number)
        // Which of the ids are a sweep's is not known any more, but that no counter is greater.
        let counter = PythonTaskFields.counter(in: id, phase: spec.phase, seed: spec.seed)
        var events: [Event] = [.added(id: id, spec: spec, counter: counter.flatMap { $0 > greatestCounter ? nil : $0 })]
        let ended = endedAttempts(task)
        // Of errors only the newest is kept; it was of the last attempt that failed.
        let lastFailed = ended.lastIndex { $0.outcome == .failed }
        for (index, attempt) in ended.enumerated() {
            let isLast = index == ended.count - 1
            if isLast, task.status == .cancelled, attempt.outcome == .operator, attempt.worker == task.worker,
                task.worker != TaskRecord.none
            {
                // Cancelled while it ran: assigned_to and assigned_at stay.
                let name = workerNames.text(Int(attempt.worker))
                events.append(.assigned(assignment(id, name, attempt.attempt, attempt.assignedAt)))
                events.append(.cancelled(task: id, reason: reason(of: task)))
                continue
            }
            events += transferEvents(
                of: attempt, id, isFinal: isLast && task.status == .failed,
                error: index == lastFailed ? errorText(of: task) : nil)
        }
        let runs = task.assignedAt != TaskRecord.never && task.worker != TaskRecord.none
        let isLast = runs && (ended.last.map { $0.attempt < task.attempt } ?? true)
        if !isLast, task.attempt > (ended.last?.attempt ?? 0), task.attempt > 0 {
            // It completed the task before that was opened again: of whom is not known any more.
            let name = workerName(task.completedBy) ?? "unknown"
            events.append(.assigned(assignment(id, name, task.attempt, task.addedAt)))
            var completion = Event.Completion(task: id, worker: name, attempt: task.attempt)
            completion.via = "operator"
            events += [.completed(completion), .requeued(task: id, reason: .operator)]
        }
        let scratch = Self.folding(events)
        let isOpen = task.status == .assigned || (task.status == .complete && isLast)
        events += correction(of: scratch, to: number, isOpen ? .pending : task.status, id)
        guard isOpen else { return events }
        events.append(.assigned(assignment(id, workerName(task.worker) ?? "unknown", task.attempt, task.assignedAt)))
        if task.status == .complete {
            var completion = Event.Completion(task: id, worker: workerName(task.completedBy), attempt: task.attempt)
            completion.via = task.completedBy == TaskRecord.none ? "operator" : "worker"
            events.append(.completed(completion))
        }
        return events
    }

    private func transferEvents(of attempt: EndedAttempt, _ id: String, isFinal: Bool, error: String?) -> [Event] {
        guard attempt.worker != TaskRecord.none else { return [] }
        let name = workerNames.text(Int(attempt.worker))
        let begun = Event.assigned(assignment(id, name, attempt.attempt, attempt.assignedAt))
        let reason: RequeueReason
        switch attempt.outcome {
        case .failed:
            let failure = Event.Failure(task: id, worker: name, attempt: attempt.attempt, error: error)
            return [begun, .failed(failure)] + (isFinal ? [] : [.requeued(task: id, reason: .retry)])
        case .stale: reason = .stale
        case .workerLost: reason = .workerLost
        case .returned: reason = .returned
        case .operator: reason = .operator
        }
        return [begun, .requeued(task: id, reason: reason)]
    }

    private func assignment(_ id: String, _ worker: String, _ attempt: UInt32, _ since: Int64) -> Event.Assignment {
        var assignment = Event.Assignment(task: id, worker: worker, attempt: attempt)
        if since != TaskRecord.never { assignment.since = LogTime(microseconds: since) }
        return assignment
    }

    /// What a state of one task still lacks of a status and this state's retry_count.
    private func correction(of scratch: ManagerState, to number: Int, _ status: TaskStatus, _ id: String) -> [Event] {
        let now = scratch.tasks[0]
        if now.status == status, now.retryCount == tasks[number].retryCount { return [] }
        return events(from: now, toTask: number, status, id)
    }

    private static func folding(_ events: [Event]) -> ManagerState {
        var state = ManagerState()
        for event in events {
            var body: [UInt8] = []
            event.encode(actor: nil, to: &body)
            body.withUnsafeBufferPointer { bytes in
                do throws(EventError) {
                    state.apply(
                        try EventView(bytes), at: state.position.next, time: LogTime(microseconds: 0), crc: 0)
                } catch { preconditionFailure("an event of our own cannot be read: \(error)") }
            }
        }
        return state
    }

    private func workerName(_ number: UInt32) -> String? {
        number == TaskRecord.none ? nil : workerNames.text(Int(number))
    }

    private func errorText(of task: TaskRecord) -> String? {
        task.hasError ? texts.with(task.lastError) { String(decoding: $0, as: UTF8.self) } : nil
    }

    private func json(_ word: UInt32) -> [UInt8]? {
        word == TaskRecord.none ? nil : words.with(Int(word)) { Array($0) }
    }

    private func list(_ word: UInt32) -> [String]? {
        word == TaskRecord.none ? nil : words.with(Int(word)) { Self.strings($0) }
    }
}
