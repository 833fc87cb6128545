import HTTPTypes

/// Which role a call needs where tokens are configured.
enum AccessRules {
    /// Paths that need no token: they tell nothing of the tasks.
    static let open: Set<String> = [
        "/", "/healthz", "/readyz", "/openapi.json", "/assets/dashboard.css", "/assets/dashboard.js",
    ]

    /// What a worker must be able to do.
    static let workers: Set<String> = [
        "/api/v1/claims", "/api/v1/tasks/{id}/complete", "/api/v1/tasks/{id}/fail", "/api/v1/tasks/{id}/heartbeat",
        "/api/v1/tasks/{id}/return",
    ]

    /// The least role for a route; nil where nobody has to say who it is. Whatever is not named here needs an operator.
    static func role(_ method: HTTPRequest.Method, _ route: String) -> Role? {
        let isRead = method == .get || method == .head
        if isRead, open.contains(route) { return nil }
        if isRead { return .viewer }
        return method == .post && workers.contains(route) ? .worker : .operator_
    }
}
