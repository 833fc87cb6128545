import EventLog

/// What becomes of rows that others wrote into result files.
extension ManagerState {
    /// What a row of others does to the task that it speaks for.
    public enum RowVerdict: Sendable, Equatable {
        /// It completes the task.
        case completes(Event.Completion)
        /// The task is complete already.
        case isComplete
        /// The task is cancelled: nothing, and a warning.
        case isCancelled
        /// The row names an attempt of before the task was opened again. Every row that the manager wrote for a task
        /// which is not complete any more is one of these.
        case isEarlier
    }

    /// Decides on a row that speaks for a task, by its place in the order of adding. `attempt`: what the row itself
    /// says, nil where it says nothing. It completes the latest attempt whatever it says, unless the task was complete
    /// or cancelled after the attempt that it names.
    public func decideRow(for number: Int, attempt: UInt32?) -> RowVerdict {
        switch tasks[number].status {
        case .complete: return .isComplete
        case .cancelled: return .isCancelled
        case .pending, .assigned, .held, .failed: break
        }
        if let attempt, let closed = reopened[UInt32(number)], attempt <= closed { return .isEarlier }
        let (worker, latest) = latestAttempt(number)
        var completion = Event.Completion(task: ids.text(number), worker: worker, attempt: latest)
        completion.via = "csv"
        completion.isLate = !isRunning(number, latest)
        return .completes(completion)
    }

    /// How often a row with this content has spoken for a task: completed one, or found it complete or cancelled.
    public func timesRowCounted(_ hash: RowHash) -> Int { Int(rowMemory.times(hash)) }

    /// True when a row that names this attempt says nothing new, whatever happens to the task later: it is complete or
    /// was, by this attempt or a later one.
    public func isSettled(_ number: Int, attempt: UInt32) -> Bool {
        switch tasks[number].status {
        case .complete, .cancelled: attempt <= tasks[number].attempt
        case .pending, .assigned, .held, .failed: reopened[UInt32(number)].map { attempt <= $0 } ?? false
        }
    }

    /// The number of the columns by which rows are recognised as this task's; nil where only its id does.
    public func rowKey(of number: Int) -> Int? {
        let key = templates[Int(tasks[number].template)].key
        return key == TaskRecord.none ? nil : Int(key)
    }

    /// The columns of a row key, as `rowKey` names it.
    public func columns(ofRowKey key: Int) -> [String] { words.with(key) { Self.strings($0) } }

    /// What rows are compared with: phase, seed (JSON) and config (a JSON object) of a task.
    public func rowContext(_ number: Int) -> (phase: [UInt8], seed: [UInt8], config: [UInt8]) {
        let task = tasks[number]
        return (
            phaseNames.with(Int(phase(of: number))) { Array($0) }, words.with(Int(task.seed)) { Array($0) },
            texts.bytes(task.config)
        )
    }

    /// A task's latest attempt, by its place in the order of adding; 0: it was never assigned.
    public func attempt(of number: Int) -> UInt32 { tasks[number].attempt }

    /// A task's id, by its place in the order of adding.
    public func taskID(_ number: Int) -> String { ids.text(number) }

    /// The number of the task that has these bytes as its id; nil where none has.
    public func taskNumber(bytes id: [UInt8]) -> Int? { id.withUnsafeBufferPointer { ids.number(of: $0) } }

    /// A number that is the same for as long as `outputDirectories` is.
    public var outputDirectoriesMark: Int { words.count }
}
