import Glibc

/// Waits until the condition holds; false when it does not before the deadline.
///
/// For what another process does and nothing of ours can be awaited for; anything else is awaited itself.
public func eventually(within limit: Duration = .seconds(60), _ condition: () throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try condition() { return true }
        try await Task.sleep(for: .milliseconds(5))
    }
    return try condition()
}

/// The same on the calling thread, for tests that block.
public func eventuallyBlocking(within limit: Duration = .seconds(60), _ condition: () throws -> Bool) throws -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if try condition() { return true }
        usleep(5000)
    }
    return try condition()
}
