import EventLog
import Projections
import Synchronization

/// Finds attempts that have been silent for too long, and requeues them.
///
/// At start an attempt's age is told by the wall clock, or by the last event where the clock stands before it. From then
/// on a clock is used that cannot be set: the age at start and what has passed since, or the time since the last sign
/// (assignment or heartbeat) of this run. Whoever announced heartbeats gets three of them, at least 60 s, to report
/// before being judged: after a start, and after a time in which the manager was held up and so heard nobody.
final class StaleCheck: Sendable {
    /// What is printed of the attempts that ran when the manager started.
    struct StartLines: Equatable {
        /// Those that go on.
        var valid: [String] = []
        /// Those that were requeued.
        var stale: [String] = []
    }

    /// An attempt's silence.
    private struct Silence {
        let seconds: Double
        let limit: SilenceLimits.Limit
    }

    private let processor: CommandProcessor
    private let limits: SilenceLimits
    private let startTime: LogTime
    private let start: ContinuousClock.Instant
    /// Since when signs of life could be heard without a break.
    private let listeningSince: Mutex<ContinuousClock.Instant>

    /// Begins when the state is loaded, before the first event of this run.
    init(_ processor: CommandProcessor, limits: SilenceLimits) {
        self.processor = processor
        self.limits = limits
        startTime = max(processor.clock.wall(), processor.read { $0.time }.answer ?? LogTime(microseconds: .min))
        start = processor.clock.steady()
        listeningSince = Mutex(start)
    }

    /// Begins with one limit for all.
    convenience init(_ processor: CommandProcessor, staleAfter: Duration) {
        self.init(processor, limits: SilenceLimits(staleAfter: staleAfter))
    }

    /// Judges every running attempt that has announced no heartbeats by when it was assigned.
    func atStart() -> StartLines {
        var lines = StartLines()
        processor.core.withLock { core in
            var medians = PhaseMedians()
            for attempt in core.state.runningAttempts {
                let age = startTime.seconds(since: attempt.assignedAt)
                let hours = StartReport.hours(age)
                let limit = limits.limit(heartbeatSeconds: nil) { medians.median(of: attempt.phase, in: core.state) }
                if age < limit.duration.seconds || attempt.heartbeatSeconds != nil {
                    lines.valid.append(
                        "Assignment of \(attempt.task) to \(attempt.worker ?? "nobody") (\(hours) hours ago) still valid"
                    )
                } else {
                    lines.stale.append("Reassigning stale task \(attempt.task) (assigned \(hours) hours ago)")
                    lose(attempt, Silence(seconds: age, limit: limit), &core)
                }
            }
        }
        return lines
    }

    /// Judges every running attempt while the manager runs.
    func run() {
        let now = processor.clock.steady()
        let listeningSince = listeningSince.withLock { $0 }
        processor.core.withLock { core in
            var medians = PhaseMedians()
            for attempt in core.state.runningAttempts {
                guard let silence = silence(attempt, now, listeningSince, &medians, core) else { continue }
                lose(attempt, silence, &core)
            }
            processor.forgetEnded(but: core.state.runningAttempts, &core)
            processor.answerHeartbeats(&core)
            processor.serveWaiters(&core)
        }
    }

    /// The manager did not run for a while (the machine slept, the process was stopped): heartbeats of that time were
    /// not heard, and those that wait come in only now.
    func wasHeldUp() {
        let now = processor.clock.steady()
        listeningSince.withLock { $0 = now }
    }

    /// How often `run` is worth calling.
    var interval: Duration {
        let shortest = [limits.staleAfter, limits.workerTimeout ?? .seconds(20)].filter { $0 > .zero }.min()
        return max(.milliseconds(200), min(.seconds(5), (shortest ?? .seconds(20)) / 4))
    }

    /// The silence of an attempt; nil where it is not too long.
    private func silence(
        _ attempt: ManagerState.RunningAttempt, _ now: ContinuousClock.Instant,
        _ listeningSince: ContinuousClock.Instant, _ medians: inout PhaseMedians,
        _ core: borrowing CommandProcessor.Core
    ) -> Silence? {
        let state = core.state
        let limit = limits.limit(heartbeatSeconds: attempt.heartbeatSeconds) {
            medians.median(of: attempt.phase, in: state)
        }
        let sign = core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)]
        let silent: Double
        if let sign {
            silent = (now - sign).seconds
        } else {
            let age = startTime.seconds(since: attempt.assignedAt) + (now - start).seconds
            // Its worker could not have reported before this run: what counts is how long it has not since.
            silent = limit.rule == .workerTimeout ? min(age, (now - start).seconds) : age
        }
        guard silent >= limit.duration.seconds else { return nil }
        if let heartbeat = attempt.heartbeatSeconds {
            let grace = SilenceLimits.grace(heartbeatSeconds: heartbeat)
            let wasHeard = sign.map { $0 >= listeningSince } ?? false
            if !wasHeard, now - listeningSince < grace { return nil }
        }
        return Silence(seconds: silent, limit: limit)
    }

    /// One command an attempt: its `requeued`, and the `held` of one loss too many.
    private func lose(
        _ attempt: ManagerState.RunningAttempt, _ silence: Silence, _ core: inout CommandProcessor.Core
    ) {
        let told = Event.Silence(
            seconds: silence.seconds, limitSeconds: silence.limit.duration.seconds, rule: silence.limit.rule)
        let events = core.state.decideLoss(
            attempt.task, attempt: attempt.attempt, silence.limit.reason, told, poisonAfter: processor.poisonAfter)
        core.signs[AttemptReference(task: attempt.task, attempt: attempt.attempt)] = nil
        processor.append(events, actor: "timer", &core, false)
    }
}

/// The median runs of phases, each computed once.
private struct PhaseMedians {
    private var known: [String: Double?] = [:]

    mutating func median(of phase: String, in state: ManagerState) -> Double? {
        if let known = known[phase] { return known }
        let median = state.medianRunSeconds(ofPhase: phase, leastRuns: SilenceLimits.runsNeeded)
        known[phase] = median
        return median
    }
}
