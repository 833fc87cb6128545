import EventLog

/// Runs a call that blocks (disk, a child's end) on a thread of its own and suspends until it returns: the
/// cooperative pool has only as many threads as the machine has cores.
func onThread<Value: Sendable>(named name: String, _ body: @escaping @Sendable () -> sending Value) async -> Value {
    await withCheckedContinuation { continuation in
        startThread(named: name) { continuation.resume(returning: body()) }
    }
}
