import EventLog

/// What brings tasks back to where they stood at another moment of the same journal.
extension ManagerState {
    /// What becomes of one task.
    public struct RestoredTask: Sendable, Equatable {
        /// The task's id.
        public var task: String
        /// Its status now, and after.
        public var from: TaskStatus
        /// See `from`.
        public var to: TaskStatus
        /// Its retry_count now, and after.
        public var retriesBefore: UInt32
        /// See `retriesBefore`.
        public var retriesAfter: UInt32
        /// True where it was added after the moment.
        public var isLater: Bool
    }

    /// Calls `body` with each task that stands otherwise than in `then`, in the order of adding, and with the events of
    /// the journal's table that bring its status and retry_count there.
    ///
    /// What was assigned then becomes pending; a task that `then` does not know becomes cancelled. The number of the
    /// latest attempt stays as it is. A completion has no result, so that no row is owed. Everything else (priority,
    /// output_dirs, texts of errors beyond the last) stays.
    public func restoration(to then: ManagerState, _ body: (RestoredTask, [Event]) -> Void) {
        for number in 0..<tasks.count {
            let id = ids.text(number)
            let now = tasks[number]
            guard let past = then.taskNumber(id) else {
                guard now.status != .cancelled else { continue }
                var events: [Event] = []
                if now.status == .complete { events.append(.requeued(task: id, reason: .operator)) }
                events.append(.cancelled(task: id, reason: "restored"))
                let retries = now.status == .complete ? 0 : now.retryCount
                body(
                    RestoredTask(
                        task: id, from: now.status, to: .cancelled, retriesBefore: now.retryCount,
                        retriesAfter: retries, isLater: true), events)
                continue
            }
            let wanted = then.tasks[past]
            let status: TaskStatus = wanted.status == .assigned ? .pending : wanted.status
            guard now.status != status || now.retryCount != wanted.retryCount else { continue }
            body(
                RestoredTask(
                    task: id, from: now.status, to: status, retriesBefore: now.retryCount,
                    retriesAfter: wanted.retryCount, isLater: false), then.events(from: now, toTask: past, status, id))
        }
    }

    /// The events from a task's record to how it stands in this state.
    func events(from now: TaskRecord, toTask number: Int, _ status: TaskStatus, _ id: String) -> [Event] {
        let wanted = tasks[number]
        var events: [Event] = []
        // Where nothing was counted since, some statuses follow one another in one step.
        let isStep =
            now.retryCount == wanted.retryCount && status != .failed
            && (now.status == .pending || now.status == .held
                || now.status == .failed && (status == .complete || status == .cancelled))
        if !isStep {
            if now.status != .pending || now.retryCount > 0 {
                events.append(.requeued(task: id, reason: .operator))
            }
            for count in 0..<wanted.retryCount {
                let isLast = count + 1 == wanted.retryCount
                var failure = Event.Failure(task: id, worker: nil, attempt: 0, error: "restored")
                if isLast { failure.error = lastError(of: wanted) }
                events.append(.failed(failure))
                if !(isLast && status == .failed) { events.append(.requeued(task: id, reason: .retry)) }
            }
        } else if now.status == .held && status == .pending {
            events.append(.released(task: id))
        }
        switch status {
        case .complete:
            var completion = Event.Completion(task: id, worker: nil, attempt: wanted.attempt)
            completion.via = "operator"
            events.append(.completed(completion))
        case .cancelled: events.append(.cancelled(task: id, reason: reason(of: wanted)))
        case .held: events.append(.held(task: id, reason: reason(of: wanted)))
        case .pending, .assigned, .failed: break
        }
        return events
    }

    private func lastError(of task: TaskRecord) -> String? {
        task.hasError ? texts.with(task.lastError) { String(decoding: $0, as: UTF8.self) } : nil
    }

    func reason(of task: TaskRecord) -> String? {
        guard task.reason != TaskRecord.none else { return nil }
        return words.with(Int(task.reason)) { String(decoding: $0, as: UTF8.self) }
    }
}
