import EventLog

/// The two clocks of the manager: what time it is, and how long something has lasted.
struct ManagerClock: Sendable {
    /// The wall clock: for the times of events. It may be set, forwards and backwards.
    let wall: @Sendable () -> LogTime
    /// A clock that cannot be set and counts the time in which the machine sleeps: for ages while running. On Linux
    /// `ContinuousClock` reads CLOCK_BOOTTIME.
    let steady: @Sendable () -> ContinuousClock.Instant

    /// The machine's own.
    static let system = ManagerClock(wall: { LogTime.now() }, steady: { ContinuousClock.now })
}
