import EventLog
import Projections

/// Who speaks on one connection of the workers' port, and what it may ask for. Used on the connection's event loop.
final class WorkerDoor {
    private let security: ServerSecurity
    private let peer: String
    private let isHere: Bool
    private var caller: Caller?
    private var generation: UInt64 = 0

    /// `peer`: the client's address; nil where the system does not tell, which is treated as far away.
    init(_ security: ServerSecurity, peer: String?) {
        self.security = security
        self.peer = peer ?? "?"
        isHere = peer.map { Endpoint.isLoopback($0) || $0 == "::ffff:127.0.0.1" } ?? false
    }

    /// Whether the old form, which knows neither tokens nor TLS, is taken from this client.
    var takesOldForm: Bool {
        (security.tokens == nil && security.tls == nil) || isHere || security.allowsTokenlessWorkers
    }

    /// The events' `actor`: the token's name.
    var actor: String { caller?.name ?? "tcp" }

    /// Why a request of the fast form is not taken; nil where it is.
    func objection(to type: String) -> String? {
        guard let tokens = security.tokens else { return nil }
        if let known = caller, generation != tokens.generation {
            // The tokens' file was read again since.
            generation = tokens.generation
            caller = tokens.caller(withDigest: known.digest)
        }
        guard let caller else {
            return "this manager wants a token: send {\"type\":\"auth\",\"token\":\"…\"} first"
        }
        let needed: Role = type == "add" ? .operator_ : type == "status" ? .viewer : .worker
        guard caller.role >= needed else {
            return
                "the token '\(caller.name)' is a \(caller.role.rawValue)'s; \(type) needs the role \(needed.rawValue)"
        }
        return nil
    }

    /// Takes a token; nil where it is right, or none is wanted.
    func enter(_ token: String?) -> String? {
        guard let tokens = security.tokens else { return nil }
        if let seconds = security.logins.secondsToWait(peer) {
            return "too many wrong tokens came from \(peer): try again in \(seconds) s"
        }
        generation = tokens.generation
        let digest = token.map { TokenDigest(of: $0) }
        caller = digest.flatMap { tokens.caller(withDigest: $0) }
        guard caller == nil else { return nil }
        security.logins.refused(
            peer, digest?.fingerprint, digest == nil ? "no token" : "wrong token", via: "tcp")
        return "the token is none of this manager's"
    }
}
