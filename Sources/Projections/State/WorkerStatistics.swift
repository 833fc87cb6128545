import EventLog

/// How often and how long a worker ran the tasks of a phase. Whole microseconds, so that every machine folds the same.
struct RunStatistics: Sendable, Equatable {
    var completed: Int64 = 0
    /// Of these, attempts that had completed before their task was imported.
    var brought: Int64 = 0
    var failed: Int64 = 0
    var lost: Int64 = 0
    /// The sum of `durations`.
    var busyMicroseconds: Int64 = 0
    /// Of attempts that completed or failed, where it is known how long they ran.
    var durations = DurationHistogram()
}

/// Durations in buckets an eighth of a power of two wide: quantiles within 6 %.
struct DurationHistogram: Sendable, Equatable {
    /// The buckets that there are: durations up to 2^63 microseconds.
    static let buckets = 0..<512

    /// Sorted by bucket.
    var counts: [(bucket: Int32, count: Int64)] = []

    static func == (left: Self, right: Self) -> Bool {
        left.counts.elementsEqual(right.counts) { $0.bucket == $1.bucket && $0.count == $1.count }
    }

    mutating func add(microseconds: Int64) {
        let bucket = Self.bucket(microseconds)
        var low = 0
        var high = counts.count
        while low < high {
            let middle = (low + high) / 2
            if counts[middle].bucket < bucket { low = middle + 1 } else { high = middle }
        }
        if low < counts.count, counts[low].bucket == bucket {
            counts[low].count += 1
        } else {
            counts.insert((bucket, 1), at: low)
        }
    }

    mutating func add(_ other: DurationHistogram) {
        for (bucket, count) in other.counts {
            if let at = counts.firstIndex(where: { $0.bucket == bucket }) {
                counts[at].count += count
            } else {
                counts.insert((bucket, count), at: counts.firstIndex { $0.bucket > bucket } ?? counts.count)
            }
        }
    }

    /// How many durations there are.
    var total: Int64 { counts.reduce(0) { $0 + $1.count } }

    /// Without those of another one that were added to this one.
    func subtracting(_ other: DurationHistogram) -> DurationHistogram {
        var rest = self
        for (bucket, count) in other.counts {
            if let at = rest.counts.firstIndex(where: { $0.bucket == bucket }) { rest.counts[at].count -= count }
        }
        rest.counts.removeAll { $0.count <= 0 }
        return rest
    }

    /// The duration that the given share of all stays below, in seconds; nil where there are none.
    func quantile(_ share: Double) -> Double? {
        let total = counts.reduce(0) { $0 + $1.count }
        guard total > 0 else { return nil }
        let rank = max(1, Int64((Double(total) * share).rounded(.up)))
        var seen: Int64 = 0
        for (bucket, count) in counts {
            seen += count
            if seen >= rank { return Self.middle(bucket) / 1_000_000 }
        }
        return nil
    }

    /// The same, where the durations' sum is known too: a bucket's middle is moved to where the duration can be. Of one
    /// duration, that is exact.
    func quantile(_ share: Double, sumMicroseconds: Int64) -> Double? {
        guard let middle = quantile(share) else { return nil }
        let total = self.total
        let rank = max(1, Int64((Double(total) * share).rounded(.up)))
        // Those before the rank have at least their buckets' lower bounds, those behind it at most their upper ones; the
        // rest of the sum is shared by durations that are all at least, or all at most, the one that is looked for.
        var (before, behind, seen) = (0.0, 0.0, Int64(0))
        for (bucket, count) in counts {
            let smaller = min(count, max(0, rank - 1 - seen))
            let greater = min(count, max(0, seen + count - rank))
            before += Double(smaller) * Self.lowerBound(bucket)
            behind += Double(greater) * Self.lowerBound(bucket + 1)
            seen += count
        }
        let sum = Double(sumMicroseconds)
        let most = (sum - before) / Double(total - rank + 1) / 1_000_000
        let least = (sum - behind) / Double(rank) / 1_000_000
        return max(0, min(most, max(least, middle)))
    }

    private static func bucket(_ microseconds: Int64) -> Int32 {
        let value = UInt64(max(microseconds, 0))
        if value < 8 { return Int32(value) }
        let exponent = 63 - value.leadingZeroBitCount
        return Int32(exponent - 2) * 8 + Int32((value >> UInt64(exponent - 3)) & 7)
    }

    private static func middle(_ bucket: Int32) -> Double {
        bucket < 8 ? Double(bucket) : (lowerBound(bucket) + lowerBound(bucket + 1)) / 2
    }

    /// The least duration of a bucket, in microseconds.
    private static func lowerBound(_ bucket: Int32) -> Double {
        if bucket < 8 { return Double(bucket) }
        var scale = 1.0
        for _ in 0..<Int(bucket / 8 - 1) { scale *= 2 }
        return Double(8 + bucket % 8) * scale
    }
}

/// What is known of a worker by its events.
struct WorkerRecord: Sendable {
    var firstEvent: Int64
    var lastEvent: Int64
    /// Attempts that failed since the last one that completed, and since an operator released it.
    var failuresInRow: Int64 = 0
    /// The tasks that are assigned to it, in the order of assignment.
    var holding: [UInt32] = []
    /// By phase, in the order in which they first came: few, so that looking through them is faster than hashing.
    var runs: [(phase: UInt32, statistics: RunStatistics)] = []
    /// By phase, how long attempts ran that it gave back or that an operator ended. It stands in the tasks' ended attempts,
    /// so that it is kept nowhere else: whoever reads a state adds it up.
    var givenUp: [(phase: UInt32, microseconds: Int64)] = []

    /// Adds an attempt that ended without completing its task, where its time counts as busy and stands in no run.
    @inline(__always)
    mutating func note(_ attempt: EndedAttempt, of task: TaskRecord, phase: UInt32) {
        // Of a lost attempt nobody knows how long it ran; a failed one is a run.
        guard attempt.outcome == .operator || attempt.outcome == .returned,
            let duration = task.knownDuration(from: attempt.assignedAt, to: attempt.endedAt)
        else { return }
        if let at = givenUp.firstIndex(where: { $0.phase == phase }) {
            givenUp[at].microseconds &+= duration
        } else {
            givenUp.append((phase, duration))
        }
    }

    /// Lends the statistics of a phase for a change.
    @inline(__always)
    mutating func withRuns(ofPhase phase: UInt32, _ change: (inout RunStatistics) -> Void) {
        if let at = runs.lastIndex(where: { $0.phase == phase }) {
            change(&runs[at].statistics)
        } else {
            var fresh = RunStatistics()
            change(&fresh)
            runs.append((phase, fresh))
        }
    }
}
