import EventLog
import Synchronization

/// Releases what waits for positions to become durable, in the order of positions.
final class Publisher: Sendable {
    private struct Waiter {
        let position: LogPosition
        let run: @Sendable () -> Void
    }

    private struct State {
        var durable: LogPosition
        /// Sorted by position; nearly all come in order.
        var waiters: [Waiter] = []
        var firstWaiter = 0
    }

    private let state: Mutex<State>

    /// Begins at what is durable already.
    init(durable: LogPosition) { state = Mutex(State(durable: durable)) }

    /// Everything up to the position is durable: runs what waited for it, on the calling thread.
    func advance(to position: LogPosition) {
        let ready = state.withLock { state -> ArraySlice<Waiter> in
            state.durable = position
            let start = state.firstWaiter
            var end = start
            while end < state.waiters.count, state.waiters[end].position <= position { end += 1 }
            let ready = state.waiters[start..<end]
            state.firstWaiter = end
            if end == state.waiters.count {
                state.waiters = []
                state.firstWaiter = 0
            }
            return ready
        }
        for waiter in ready { waiter.run() }
    }

    /// Runs `body` when the position is durable: at once on this thread if it is, else on the writer's. Keep it short.
    func whenDurable(_ position: LogPosition, _ body: @escaping @Sendable () -> Void) {
        let isDurable = state.withLock { state -> Bool in
            if position <= state.durable { return true }
            var at = state.waiters.count
            while at > state.firstWaiter, state.waiters[at - 1].position > position { at -= 1 }
            state.waiters.insert(Waiter(position: position, run: body), at: at)
            return false
        }
        if isDurable { body() }
    }

    /// Suspends until the position is durable.
    func durable(_ position: LogPosition) async {
        await withCheckedContinuation { continuation in whenDurable(position) { continuation.resume() } }
    }
}
