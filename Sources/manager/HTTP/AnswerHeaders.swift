import HTTPTypes
import Hummingbird

/// What every answer says to browsers: guess no types, show nothing in foreign frames, run nothing, keep nothing.
/// Pages name their own policy.
struct AnswerHeaders: RouterMiddleware {
    private static let policy = HTTPField.Name("Content-Security-Policy")
    private static let constant: [(HTTPField.Name?, String)] = [
        (HTTPField.Name("X-Content-Type-Options"), "nosniff"), (HTTPField.Name("X-Frame-Options"), "DENY"),
        (HTTPField.Name("Referrer-Policy"), "no-referrer"),
        (HTTPField.Name("Cross-Origin-Resource-Policy"), "same-origin"),
    ]

    private static let strictPolicy = "default-src 'none'; frame-ancestors 'none'"

    /// All of it, for answers that are no pages.
    static let usual: HTTPFields = {
        var fields = HTTPFields()
        for (name, value) in constant { if let name { fields.append(HTTPField(name: name, value: value)) } }
        if let policy { fields.append(HTTPField(name: policy, value: strictPolicy)) }
        fields.append(HTTPField(name: .cacheControl, value: "no-store"))
        return fields
    }()

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        var response: Response
        do { response = try await next(request, context) } catch let error as any HTTPResponseError {
            response = try error.response(from: request, context: context)
        }
        for (name, value) in Self.constant { if let name { response.headers[name] = value } }
        if let policy = Self.policy, response.headers[policy] == nil {
            response.headers[policy] = Self.strictPolicy
        }
        if response.headers[.cacheControl] == nil { response.headers[.cacheControl] = "no-store" }
        return response
    }
}
