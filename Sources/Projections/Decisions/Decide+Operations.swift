import EventLog

/// What an operator does to many tasks at once.
extension ManagerState {
    /// Which tasks an operator means.
    public enum OperationTarget: Sendable, Equatable {
        /// These, each by its own rule: one that does not allow it refuses them all.
        case ids([String])
        /// Those that agree, as far as the operation applies to them.
        case matching(TaskFilter)
    }

    /// Decides on an operator's act on several tasks: the events, none for tasks where it is so already.
    /// Throws for named tasks that are unknown or do not allow it, and for a phase that does not stand.
    public func decide(
        _ operation: Operation, on target: OperationTarget, priority: Int = 0
    ) throws(Rejection) -> [Event] {
        guard priority.magnitude <= Int32.max.magnitude else {
            throw Rejection(.invalid, "priority \(priority) is out of range")
        }
        var events: [Event] = []
        switch target {
        case .ids(let ids):
            var seen: Set<ExactText> = []
            for id in ids where seen.insert(ExactText(id)).inserted {
                events += try decide(operation, id, priority: priority)
            }
        case .matching(let filter):
            if let problem = problem(withPhase: filter.phase) { throw Rejection(.unknownTask, problem) }
            for number in tasks(matching: filter).numbers {
                do throws(Rejection) { events += try decide(operation, taskID(number), priority: priority) } catch {
                    if error.code != .conflict { throw error }  // it does not apply to this one
                }
            }
        }
        return events
    }
}
