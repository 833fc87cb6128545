import Foundation
import HTTPTypes
import Hummingbird

/// Lets in who has a token whose role is enough; everybody where no tokens are configured.
struct TokenGate: RouterMiddleware {
    let security: ServerSecurity

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        guard let tokens = security.tokens,
            let needed = AccessRules.role(request.method, context.endpointPath ?? "")
        else { return try await next(request, context) }
        if let seconds = security.logins.secondsToWait(context.peer) {
            throw Problem(
                .tooManyRequests, "too many wrong tokens came from \(context.peer)", retryAfterSeconds: seconds)
        }
        guard let token = request.headers[.authorization].flatMap({ Self.bearer($0) }) else {
            security.logins.refused(context.peer, nil, "no token", via: "http")
            throw Problem(.unauthorized, "this manager wants a token: send Authorization: Bearer TOKEN")
        }
        let digest = TokenDigest(of: token)
        guard let caller = tokens.caller(withDigest: digest) else {
            security.logins.refused(context.peer, digest.fingerprint, "wrong token", via: "http")
            throw Problem(.unauthorized, "the token is none of this manager's")
        }
        guard caller.role >= needed else {
            throw Problem(
                .forbidden,
                "the token '\(caller.name)' is a \(caller.role.rawValue)'s; this call needs the role \(needed.rawValue)"
            )
        }
        var context = context
        context.caller = caller
        context.access = Access(tokens: tokens, digest: digest, role: needed)
        context.actorNote?.name = caller.name
        return try await next(request, context)
    }

    /// The token in the field `Authorization`; nil where it has none.
    static func bearer(_ value: String) -> String? {
        let words = value.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return words[1].trimmingCharacters(in: .whitespaces)
    }
}
