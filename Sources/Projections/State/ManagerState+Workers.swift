import EventLog

extension ManagerState {
    /// How often and how long a worker ran tasks: of one phase, or of all.
    public struct RunFigures: Sendable, Equatable {
        /// Attempts that completed.
        public var completed: Int64 = 0
        /// Attempts that failed.
        public var failed: Int64 = 0
        /// Attempts that were lost.
        public var lost: Int64 = 0
        /// Seconds in which it held a task that ended: of attempts that completed, failed, were given back, or were ended by
        /// an operator. How long a lost one ran is not known, nor how long one that was imported with its task.
        public var busySeconds: Double = 0
        /// The part of it in which it ran attempts that completed or failed.
        public var runSeconds: Double = 0
        /// The share of the time since its first event in which it held a task, what it holds now included; nil where no
        /// time has passed.
        public var busyShare: Double?
        /// The mean duration of attempts that completed or failed, in seconds; nil without any.
        public var meanSeconds: Double?
        /// The median of these, in seconds.
        public var p50Seconds: Double?
        /// The 95th percentile of these, in seconds.
        public var p95Seconds: Double?

        /// Of a worker that has done nothing.
        public init() {}
    }

    /// What the events tell of one worker.
    public struct WorkerSummary: Sendable {
        /// The worker's name.
        public var name: String
        /// What it holds now.
        public var holding: [(task: String, attempt: UInt32)]
        /// The time of its first event.
        public var firstEvent: LogTime
        /// The time of its last event.
        public var lastEvent: LogTime
        /// Attempts that failed since the last one that completed, and since it was released.
        public var failuresInRow: Int64
        /// True where its attempts of some phase take more than twice as long as those of the others.
        public var isSlow: Bool
        /// Of all phases together.
        public var all: RunFigures
        /// By phase, in the order of their names; none where no attempt of it has ended.
        public var phases: [(name: String, figures: RunFigures)]
    }

    /// All workers, in the order in which they first came.
    public var workerSummaries: [WorkerSummary] {
        let slow = slowWorkers
        return workers.enumerated().map { number, worker in
            let (all, phases) = figures(of: worker)
            return WorkerSummary(
                name: workerNames.text(number),
                holding: worker.holding.map { (ids.text(Int($0)), tasks[Int($0)].attempt) },
                firstEvent: LogTime(microseconds: worker.firstEvent),
                lastEvent: LogTime(microseconds: worker.lastEvent), failuresInRow: worker.failuresInRow,
                isSlow: slow.contains(number), all: all, phases: phases)
        }
    }

    /// What figures are made of: of a phase, or of all.
    private struct Parts {
        var runs = RunStatistics()
        var givenUpMicroseconds: Int64 = 0
        var heldMicroseconds: Int64 = 0

        mutating func add(_ more: RunStatistics) {
            runs.completed += more.completed
            runs.failed += more.failed
            runs.lost += more.lost
            runs.busyMicroseconds &+= more.busyMicroseconds
            runs.durations.add(more.durations)
        }

        /// `known`: since the worker's first event.
        func figures(knownMicroseconds known: Int64) -> RunFigures {
            var figures = RunFigures()
            (figures.completed, figures.failed, figures.lost) = (runs.completed, runs.failed, runs.lost)
            let ended = runs.busyMicroseconds &+ givenUpMicroseconds
            figures.busySeconds = Double(ended) / 1_000_000
            figures.runSeconds = Double(runs.busyMicroseconds) / 1_000_000
            if known > 0 { figures.busyShare = min(1, Double(ended &+ heldMicroseconds) / Double(known)) }
            guard runs.durations.total > 0 else { return figures }
            figures.meanSeconds = figures.runSeconds / Double(runs.durations.total)
            let median = runs.durations.quantile(0.5, sumMicroseconds: runs.busyMicroseconds)
            figures.p50Seconds = median
            figures.p95Seconds = runs.durations.quantile(0.95, sumMicroseconds: runs.busyMicroseconds)
                .map { max($0, median ?? $0) }
            return figures
        }
    }

    private func figures(of worker: WorkerRecord) -> (all: RunFigures, phases: [(name: String, figures: RunFigures)]) {
        let now = time?.microseconds ?? worker.firstEvent
        var all = Parts()
        var parts: [UInt32: Parts] = [:]
        for run in worker.runs {
            all.add(run.statistics)
            parts[run.phase, default: Parts()].add(run.statistics)
        }
        for entry in worker.givenUp {
            all.givenUpMicroseconds &+= entry.microseconds
            parts[entry.phase, default: Parts()].givenUpMicroseconds &+= entry.microseconds
        }
        for held in worker.holding {
            let task = tasks[Int(held)]
            let duration = task.knownDuration(from: task.assignedAt, to: now) ?? 0
            all.heldMicroseconds &+= duration
            // A phase of which nothing has ended has no figures.
            parts[phase(of: Int(held))]?.heldMicroseconds &+= duration
        }
        let known = now - worker.firstEvent
        let phases = parts.map { (phaseNames.text(Int($0.key)), $0.value.figures(knownMicroseconds: known)) }
        return (
            all.figures(knownMicroseconds: known), phases.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
        )
    }

    /// Runs of a phase that a worker, and the others together, must have for a comparison.
    private static let leastRunsCompared: Int64 = 3

    /// Workers whose median run of some phase is more than twice that of all others together.
    private var slowWorkers: Set<Int> {
        var byPhase: [UInt32: [(worker: Int, durations: DurationHistogram)]] = [:]
        for (number, worker) in workers.enumerated() {
            for run in worker.runs where run.statistics.durations.total >= Self.leastRunsCompared {
                byPhase[run.phase, default: []].append((number, run.statistics.durations))
            }
        }
        var slow: Set<Int> = []
        for runs in byPhase.values where runs.count > 1 {
            var all = DurationHistogram()
            for run in runs { all.add(run.durations) }
            for run in runs {
                guard let own = run.durations.quantile(0.5),
                    let others = all.subtracting(run.durations).quantile(0.5)
                else { continue }
                if own > 2 * others { slow.insert(run.worker) }
            }
        }
        return slow
    }
}
