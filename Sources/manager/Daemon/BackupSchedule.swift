/// When the next backup is due: at its interval, and after a segment was sealed.
struct BackupSchedule {
    /// The least time between backups for sealed segments: with tiny segments they would push out all older ones.
    static let leastAfterSeal = Duration.seconds(5)

    private let every: Duration
    private var next: ContinuousClock.Instant
    private var last: ContinuousClock.Instant?
    private var seals: UInt64

    /// Begins to count now; `seals`: how many segments this run has sealed.
    init(every: Duration, now: ContinuousClock.Instant, seals: UInt64) {
        self.every = every
        next = now + every
        self.seals = seals
    }

    /// Whether one is due; if so, the next one is planned.
    mutating func take(now: ContinuousClock.Instant, seals: UInt64) -> Bool {
        let isAfterSeal = seals != self.seals && (last.map { now - $0 >= Self.leastAfterSeal } ?? true)
        guard now >= next || isAfterSeal else { return false }
        if now >= next { next = now + every }
        self.seals = seals
        last = now
        return true
    }
}
