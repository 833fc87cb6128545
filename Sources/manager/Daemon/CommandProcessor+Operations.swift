import EventLog
import Projections
import Synchronization

/// What operators do to tasks.
extension CommandProcessor {
    /// From so many changes on, room is asked for as for new work; fewer fit what is always reserved.
    private static let admittedChanges = 1000

    /// Does something to tasks; one refusal refuses all. Returns how many change; with `isDryRun` nothing is written.
    ///
    /// One command where it fits the bounds, else several of 10,000 events.
    func operate(
        _ operation: ManagerState.Operation, on target: ManagerState.OperationTarget, priority: Int = 0,
        isDryRun: Bool = false, actor: String?
    ) throws(Rejection) -> Decided<Int> {
        var refused: Rejection?
        let decided = core.withLock { core -> Decided<Int> in
            var events: [Event] = []
            do throws(Rejection) {
                events = try core.state.decide(operation, on: target, priority: priority)
                if events.count >= Self.admittedChanges, !isDryRun { try admit(bytes: events.count * 512, core) }
            } catch { refused = error }
            if refused == nil, !isDryRun {
                append(events, actor: actor, &core, false)
                answerHeartbeats(&core)
            }
            return Decided(answer: events.count, position: core.state.position)
        }
        if let refused { throw refused }
        return decided
    }
}
