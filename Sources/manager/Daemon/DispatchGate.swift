import Dispatch

/// Lets a thread wait until it is told to look again, or a time has passed.
final class DispatchGate: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    /// Lets a waiting thread, or the next that waits, go on.
    func open() { semaphore.signal() }

    /// Blocks the calling thread until `open`, or for at most so many seconds. Several `open`s count as several.
    func wait(seconds: Int) { _ = semaphore.wait(timeout: .now() + .seconds(seconds)) }

    /// The same, for at most a duration.
    func wait(for duration: Duration) { _ = semaphore.wait(timeout: .now() + duration.seconds) }
}
