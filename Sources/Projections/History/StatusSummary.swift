import EventLog

/// What `status` tells of a moment: a state's counts, without its tasks.
public struct StatusSummary: Sendable {
    /// The last event that was folded.
    public var position: LogPosition
    /// That event's time; nil before the first.
    public var time: LogTime?
    /// The total of all phases.
    public var counts: StatusCounts
    /// The phases, in the order in which they first came.
    public var phases: [(name: String, counts: StatusCounts)]
    /// Pending tasks that can never be claimed, as phases: `3 tasks wait for a`.
    public var blocked: [String]
    /// Completions by workers, without those that were imported.
    var completions: Int64
    /// The times of the first and the last event of any worker; nil before the first worker came.
    var workerEvents: ClosedRange<Int64>?

    /// What a state tells.
    public init(_ state: ManagerState) { self.init(state, gates: state.waitingGates) }

    /// What a state tells whose pending tasks wait behind these gates.
    init(_ state: ManagerState, gates: [(gate: UInt32, tasks: Int)]) {
        position = state.position
        time = state.time
        counts = state.counts
        phases = state.phases.map { ($0, state.counts(ofPhase: $0) ?? StatusCounts()) }
        blocked = state.blockedPhases(behind: gates)
        completions = state.workers.reduce(0) {
            $0 + $1.runs.reduce(0) { $0 + $1.statistics.completed - $1.statistics.brought }
        }
        if let first = state.workers.map(\.firstEvent).min(), let last = state.workers.map(\.lastEvent).max() {
            workerEvents = min(first, last)...max(first, last)
        }
    }

    /// `45/240 (18.8%)`: complete tasks of all.
    public var progress: String {
        let share = counts.total == 0 ? 0 : Double(counts[.complete]) / Double(counts.total) * 100
        return "\(counts[.complete])/\(counts.total) (\(ManagerState.oneDecimal(share))%)"
    }

    /// Completions a second, over the time since the first worker came; 0 before the first completion.
    public func completionRate(now: LogTime) -> Double {
        guard completions > 0, let workerEvents else { return 0 }
        let (first, last) = (workerEvents.lowerBound, workerEvents.upperBound)
        let end = counts[.assigned] > 0 ? max(now.microseconds, last) : last
        return end > first ? Double(completions) * 1_000_000 / Double(end - first) : 0
    }
}
