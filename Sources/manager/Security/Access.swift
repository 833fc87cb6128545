/// What a token was let in for, so that an answer that goes on for long can be ended when that token is taken away.
struct Access: Sendable {
    let tokens: TokenStore
    let digest: TokenDigest
    /// The role that the call needs.
    let role: Role

    /// Whether it would be let in now.
    var isGranted: Bool { tokens.caller(withDigest: digest).map { $0.role >= role } ?? false }

    /// Suspends until it would not be let in any more, or the calling task is cancelled.
    func revoked() async {
        let reloads = tokens.reloads()
        guard isGranted else { return }
        for await _ in reloads where !isGranted { return }
    }
}
