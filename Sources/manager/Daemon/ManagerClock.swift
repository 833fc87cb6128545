import EventLog

/// The two clocks of the manager: what time it is, and how long something has lasted.
struct ManagerClock: Sendable {
    /// The wall clock: for the times of events. It may be set, forwards and backwards.
    let wall: @Sendable () -> LogTime
    /// A clock that cannot be set and counts the time in which the machine sleeps: for ages while running. On Linux
    /// `ContinuousClock` reads CLOCK_BOOTTIME.
    let steady: @Sendable () -> ContinuousClock.Instant

    /// Between two looks at the clocks: by how many seconds the wall clock was set, where that is more than 5.
    struct Watch: Sendable {
        private static let leastStepSeconds = 5.0
        private let clock: ManagerClock
        private var wall: LogTime
        private var steady: ContinuousClock.Instant

        /// Begins now.
        init(_ clock: ManagerClock) {
            self.clock = clock
            wall = clock.wall()
            steady = clock.steady()
        }

        /// Looks again: how far the wall clock was set since the last look, forwards or (negative) backwards; nil
        /// where it went on as it should.
        mutating func step() -> Double? {
            let (newWall, newSteady) = (clock.wall(), clock.steady())
            let step = newWall.seconds(since: wall) - (newSteady - steady).seconds
            // What drifts slowly, as when a time server corrects it, is no step.
            (wall, steady) = (newWall, newSteady)
            return abs(step) > Self.leastStepSeconds ? step : nil
        }
    }

    /// The machine's own.
    static let system = ManagerClock(wall: { LogTime.now() }, steady: { ContinuousClock.now })
}
