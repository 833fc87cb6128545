import Synchronization

/// The tokens in use: read at start, and again when the program gets SIGHUP.
final class TokenStore: Sendable {
    private struct State {
        var callers: [Caller]
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
        state.withLock { $0.callers = callers }
        changes.add(1, ordering: .releasing)
        return callers.count
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
