import EventLog
import Projections
import Synchronization

/// Finds attempts that have been silent for too long, and requeues them.
///
/// At start an attempt's age is told by the wall clock, or by the last event where the clock stands before it. From then
/// on a clock is used that cannot be set: the age at start and what has passed since, or the time since the last sign
/// (assignment or heartbeat) of this run. Whoever announced heartbeats gets three of them, at least 60 s, to report
/// after a start before being judged.
struct StaleCheck: Sendable {
    /// What is printed of the attempts that ran when the manager started.
    struct StartLines: Equatable {
        /// Those that go on.
        var valid: [String] = []
        /// Those that were requeued.
        var stale: [String] = []
    }

    private static let heartbeatsAwaited = 3.0
    private static let leastGraceSeconds = 60.0

    private let processor: CommandProcessor
    private let staleAfter: Duration
    private let startTime: LogTime
    private let start: ContinuousClock.Instant

    /// Begins when the state is loaded, before the first event of this run.
    init(_ processor: CommandProcessor, staleAfter: Duration) {
        self.processor = processor
        self.staleAfter = staleAfter
        startTime = max(processor.clock.wall(), processor.read { $0.time }.answer ?? LogTime(microseconds: .min))
        start = processor.clock.steady()
    }

    /// Judges every running attempt that has announced no heartbeats by when it was assigned.
    func atStart() -> StartLines {
        var lines = StartLines()
        processor.core.withLock { core in
            for attempt in core.state.runningAttempts {
                let age = startTime.seconds(since: attempt.assignedAt)
                let hours = StartReport.hours(age)
                if age < staleAfter.seconds || attempt.heartbeatSeconds != nil {
                    lines.valid.append(
                        "Assignment of \(attempt.task) to \(attempt.worker ?? "nobody") (\(hours) hours ago) still valid"
                    )
                } else {
                    lines.stale.append("Reassigning stale task \(attempt.task) (assigned \(hours) hours ago)")
                    lose(attempt, silent: age, &core)
                }
            }
        }
        return lines
    }

    /// Judges every running attempt while the manager runs.
    func run() {
        let now = processor.clock.steady()
        processor.core.withLock { core in
            for attempt in core.state.runningAttempts where isStale(attempt, now, core) {
                lose(attempt, silent: silence(attempt, now, core), &core)
            }
            processor.answerHeartbeats(&core)
        }
    }

    /// How often `run` is worth calling.
    var interval: Duration { max(.milliseconds(200), min(.seconds(5), staleAfter / 4)) }

    private func isStale(
        _ attempt: ManagerState.RunningAttempt, _ now: ContinuousClock.Instant,
        _ core: borrowing CommandProcessor.Core
    ) -> Bool {
        if let sign = core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)] {
            return now - sign >= staleAfter
        }
        let running = (now - start).seconds
        if let heartbeat = attempt.heartbeatSeconds,
            running < max(Self.leastGraceSeconds, Self.heartbeatsAwaited * heartbeat)
        {
            return false
        }
        return silence(attempt, now, core) >= staleAfter.seconds
    }

    /// Seconds since the last sign that is known.
    private func silence(
        _ attempt: ManagerState.RunningAttempt, _ now: ContinuousClock.Instant,
        _ core: borrowing CommandProcessor.Core
    ) -> Double {
        if let sign = core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)] {
            return (now - sign).seconds
        }
        return startTime.seconds(since: attempt.assignedAt) + (now - start).seconds
    }

    /// One command an attempt: its `requeued`, and the `held` of one loss too many.
    private func lose(
        _ attempt: ManagerState.RunningAttempt, silent seconds: Double, _ core: inout CommandProcessor.Core
    ) {
        let events = core.state.decideLoss(
            attempt.task, attempt: attempt.attempt, .stale, poisonAfter: processor.poisonAfter,
            silence: Event.Silence(seconds: seconds, limitSeconds: staleAfter.seconds))
        core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)] = nil
        processor.append(events, actor: "timer", &core, false)
    }
}
