import EventLog
import Projections
import Synchronization

/// Finds attempts that have been silent for too long, and requeues them.
struct StaleCheck {
    let processor: CommandProcessor
    let staleAfter: Duration

    /// At start: judges every running attempt by when it was assigned; prints a line for each.
    func atStart(now: LogTime) {
        let running = processor.snapshot.runningAttempts
        let limit = staleAfter.seconds
        var valid: [String] = []
        var stale: [String] = []
        var events: [Event] = []
        processor.core.withLock { core in
            for attempt in running {
                let age = now.seconds(since: attempt.assignedAt)
                if age < limit {
                    valid.append(
                        "Assignment of \(attempt.task) to \(attempt.worker ?? "nobody") (\(StartReport.hours(age)) hours ago) still valid"
                    )
                } else {
                    stale.append(
                        "Reassigning stale task \(attempt.task) (assigned \(StartReport.hours(age)) hours ago)")
                    events = core.state.decideLoss(
                        attempt.task, attempt: attempt.attempt, .stale, poisonAfter: processor.poisonAfter)
                    processor.append(events, actor: "timer", &core, false)
                }
            }
        }
        StartReport.list(valid)
        StartReport.list(stale)
    }

    /// While running: judges by the last sign of this run, else by when it was assigned.
    func run() {
        let now = LogTime.now()
        let monotonic = ContinuousClock.now
        processor.core.withLock { core in
            for attempt in core.state.runningAttempts {
                let sign = core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)]
                let silence = sign.map { (monotonic - $0).seconds } ?? now.seconds(since: attempt.assignedAt)
                guard silence >= staleAfter.seconds else { continue }
                let events = core.state.decideLoss(
                    attempt.task, attempt: attempt.attempt, .stale, poisonAfter: processor.poisonAfter)
                processor.append(events, actor: "timer", &core, false)
            }
            processor.answerHeartbeats(&core)
        }
    }
}
