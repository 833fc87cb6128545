import HTTPTypes
import Hummingbird
import Synchronization

/// Tells a wrong method (405, with the methods that there are) from a path that is none (404).
final class MethodGate<Context: RequestContext>: RouterMiddleware {
    private let paths = Mutex<[(names: [Substring], methods: Set<String>)]>([])

    /// Takes the routes, once all are added. What answers GET answers HEAD.
    func learn(_ routes: [(path: String, method: HTTPRequest.Method)]) {
        let methods = Dictionary(grouping: routes, by: \.path).mapValues { Set($0.map(\.method.rawValue)) }
        let known = methods.map { path, methods in
            (path.split(separator: "/"), methods.contains("GET") ? methods.union(["HEAD"]) : methods)
        }
        paths.withLock { $0 = known }
    }

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch let error as HTTPError where error.status == .notFound {
            let allowed = methods(of: request.uri.path).sorted().joined(separator: ", ")
            if allowed.isEmpty { throw error }
            throw Problem(
                .methodNotAllowed, "\(request.method) is no method of \(request.uri.path): \(allowed)",
                headers: [.allow: allowed])
        }
    }

    private func methods(of path: String) -> Set<String> {
        let names = path.split(separator: "/")
        return paths.withLock { paths in
            paths.filter { known in
                known.names.count == names.count
                    && zip(known.names, names).allSatisfy { $0.hasPrefix("{") || $0 == $1 }
            }.reduce(into: []) { $0.formUnion($1.methods) }
        }
    }
}
