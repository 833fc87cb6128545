import EventLog

/// What is known of a task whose earlier events were discarded: what the state that stands in for them says of it.
public struct TaskBeginning: Sendable {
    /// The history that is gone.
    public let history: DiscardedHistory
    /// When the last event of it happened.
    public let time: LogTime
    /// How the task stood then.
    public let line: ManagerState.TaskLine
    /// When it was added.
    public let addedAt: LogTime
    /// Since when it stood so; nil where the state does not tell.
    public let since: LogTime?
    /// Its attempts up to then, as far as the state tells.
    public let attempts: [AttemptRecord]
    /// The state itself.
    let state: ManagerState

    /// Takes a task from the state that stands in for discarded history; nil where it does not know the task.
    public init?(_ id: String, in state: ManagerState, after history: DiscardedHistory) {
        guard let number = state.taskNumber(id), let time = state.time else { return nil }
        let task = state.tasks[number]
        (self.history, self.time, self.state) = (history, time, state)
        line = state.taskLine(number)
        addedAt = LogTime(microseconds: task.addedAt)
        since =
            switch task.status {
            case .assigned: Self.moment(task.assignedAt)
            case .complete, .failed, .cancelled: Self.moment(task.finishedAt)
            case .pending, .held: nil
            }
        attempts = Self.attempts(task, state)
    }

    /// The last event that is gone.
    public var position: LogPosition { history.position }

    /// The task as that state has it, a JSON object.
    public var json: [UInt8] { state.taskJSON(line.id) ?? [] }

    private static func moment(_ microseconds: Int64) -> LogTime? {
        microseconds == TaskRecord.never ? nil : LogTime(microseconds: microseconds)
    }

    private static func attempts(_ task: TaskRecord, _ state: ManagerState) -> [AttemptRecord] {
        let addedAt = moment(task.addedAt)
        func name(_ worker: UInt32) -> String? {
            worker == TaskRecord.none ? nil : state.workerNames.text(Int(worker))
        }
        var records = state.endedAttempts(task).map { ended in
            var record = AttemptRecord(ended.attempt)
            record.worker = name(ended.worker)
            record.start = moment(ended.assignedAt)
            record.end(at: LogTime(microseconds: ended.endedAt), ofTaskAddedAt: addedAt)
            record.outcome = ended.outcome.word
            return record
        }
        // Only the newest error is kept.
        if task.hasError, let failed = records.lastIndex(where: { $0.outcome == EndedAttempt.Outcome.failed.word }) {
            records[failed].error = state.texts.with(task.lastError) { String(decoding: $0, as: UTF8.self) }
        }
        switch task.status {
        case .assigned:
            var record = AttemptRecord(task.attempt)
            record.worker = name(task.worker)
            record.start = moment(task.assignedAt)
            records.append(record)
        case .complete:
            // Where it came late, the attempt had ended otherwise before.
            let known = records.lastIndex { $0.attempt == task.attempt }
            var record = known.map { records.remove(at: $0) } ?? AttemptRecord(task.attempt)
            record.worker = name(task.completedBy) ?? record.worker
            record.start = record.start ?? moment(task.assignedAt)
            if let finished = moment(task.finishedAt) { record.end(at: finished, ofTaskAddedAt: addedAt) }
            record.outcome = "completed"
            records.append(record)
        case .cancelled:
            if let last = records.indices.last, records[last].end == moment(task.finishedAt) {
                records[last].outcome = "cancelled"
            }
        case .pending, .failed, .held: break
        }
        return records
    }
}
