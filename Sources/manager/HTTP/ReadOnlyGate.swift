import HTTPTypes
import Hummingbird

/// While the journal cannot be written: reads pass, the rest is 507 on a full disk and 503 else, and the manager is not
/// ready.
struct ReadOnlyGate: RouterMiddleware {
    /// Why nothing but reads is taken; nil where everything is.
    let reason: @Sendable () -> String?

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        if let reason = reason() {
            if request.uri.path == "/readyz" { throw Problem(.serviceUnavailable, reason) }
            guard request.method == .get || request.method == .head else {
                guard reason == ReadOnlyManager.fullDisk else { throw Problem(.serviceUnavailable, reason) }
                throw Problem(.init(code: 507, reasonPhrase: "Insufficient Storage"), reason)
            }
        }
        return try await next(request, context)
    }
}
