import Synchronization

/// The tokens in use: read at start, and again when the program gets SIGHUP.
final class TokenStore: Sendable {
    private struct State {
        var callers: [Caller]
        /// Those who are told of reloads.
        var listeners: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var nextListener: UInt64 = 0
    }

    private let file: TokenFile
    private let state: Mutex<State>
    private let changes = Atomic<UInt64>(0)

    /// Reads the file. Throws what `TokenFile.callers` throws.
    init(_ file: TokenFile) throws(TokenFile.Problem) {
        self.file = file
        state = Mutex(State(callers: try file.callers()))
    }

    /// Reads the file again. Where that fails, the tokens in use stay as they are. Returns how many there are.
    func reload() throws(TokenFile.Problem) -> Int {
        let callers = try file.callers()
        let listeners = state.withLock { state in
            state.callers = callers
            return Array(state.listeners.values)
        }
        changes.add(1, ordering: .releasing)
        for listener in listeners { listener.yield() }
        return callers.count
    }

    /// One element for each reload from now on, or for several of them; never ends by itself.
    func reloads() -> AsyncStream<Void> {
        let (stream, listener) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let id = state.withLock { state -> UInt64 in
            state.nextListener += 1
            state.listeners[state.nextListener] = listener
            return state.nextListener
        }
        listener.onTermination = { [weak self] _ in self?.state.withLock { $0.listeners[id] = nil } }
        return stream
    }

    /// Grows with every reload, so that long connections know when to look again.
    var generation: UInt64 { changes.load(ordering: .acquiring) }

    /// Who has this token; nil where nobody has. All entries are compared, each in constant time.
    func caller(withDigest digest: TokenDigest) -> Caller? {
        state.withLock { state in
            var found: Caller?
            for caller in state.callers where caller.digest == digest { found = caller }
            return found
        }
    }
}
