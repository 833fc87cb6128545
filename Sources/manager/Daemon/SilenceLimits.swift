import Projections

/// How long attempts may be silent. Pure.
struct SilenceLimits: Sendable, Equatable {
    /// For every attempt.
    var staleAfter: Duration
    /// For attempts that announced heartbeats; nil: three of them, at least a minute; zero: only `staleAfter` counts.
    var workerTimeout: Duration?
    /// For attempts that announced none: so many times their phase's median run, at least a minute; nil: only
    /// `staleAfter` counts.
    var medianFactor: Double?

    /// Runs that a phase must have had before its median counts.
    static let runsNeeded = 3
    /// No limit that is made up from other numbers is shorter.
    static let shortest = Duration.seconds(60)

    /// A limit, and what requeues an attempt that passes it.
    struct Limit: Sendable, Equatable {
        var duration: Duration
        var rule: Event.Silence.Rule

        var reason: RequeueReason { rule == .workerTimeout ? .workerLost : .stale }
    }

    /// What a worker that announced heartbeats gets to report after a start.
    static func grace(heartbeatSeconds: Double) -> Duration { max(shortest, .seconds(3 * heartbeatSeconds)) }

    /// The limit of an attempt. `median` is asked for the median run of its phase; nil where there were too few.
    func limit(heartbeatSeconds: Double?, median: () -> Double?) -> Limit {
        let all = Limit(duration: staleAfter, rule: .staleAfter)
        if let heartbeatSeconds {
            if workerTimeout == .zero { return all }
            // Never less than two heartbeats: one may always be on its way.
            let timeout =
                workerTimeout.map { max($0, .seconds(2 * heartbeatSeconds)) }
                ?? Self.grace(heartbeatSeconds: heartbeatSeconds)
            return timeout < staleAfter ? Limit(duration: timeout, rule: .workerTimeout) : all
        }
        guard let medianFactor, let median = median() else { return all }
        let adaptive = max(Self.shortest, .seconds(min(1e9, medianFactor * median)))
        return adaptive < staleAfter ? Limit(duration: adaptive, rule: .phaseMedian) : all
    }
}
