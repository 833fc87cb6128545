import EventLog
import Foundation
import HTTPTypes
import Hummingbird
import Projections
import Synchronization

/// Gives each request an id, counts it, and writes it into the access log where one is wanted. The outermost of all.
///
/// `X-Request-Id` of the request is taken where it is a plain word, else one is made; the answer carries it.
struct RequestLog: RouterMiddleware {
    /// The field that carries the id.
    static let idName = HTTPField.Name("X-Request-Id")

    let log: AccessLog?
    let counts: RequestCounts
    let limits: ServerLimits

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        let began = ContinuousClock.now
        var context = context
        context.limits = limits
        let id = Self.id(given: Self.idName.flatMap { request.headers[$0] })
        if log != nil { context.actorNote = ActorNote() }
        var response = try await next(request, context)
        if let name = Self.idName { response.headers[name] = id }
        counts.note(response.status.code)
        if let log {
            log.write(
                AccessLog.Entry(
                    id: id, peer: context.peer, method: request.method.rawValue, path: request.uri.path,
                    status: response.status.code, bytes: response.body.contentLength,
                    seconds: (ContinuousClock.now - began).seconds, actor: context.actorNote?.name))
        }
        return response
    }

    /// The id of a request that names this one, or none.
    static func id(given: String?) -> String {
        if let given, (1...64).contains(given.utf8.count), given.utf8.allSatisfy({ isWord($0) }) { return given }
        return String(UInt64.random(in: .min ... .max), radix: 36)
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte) || byte == 45 || byte == 95
    }
}

/// Where the door writes who asked, for the access log.
final class ActorNote: Sendable {
    private let noted = Mutex<String?>(nil)

    /// The token's name; nil where none was needed, or none was right.
    var name: String? {
        get { noted.withLock { $0 } }
        set { noted.withLock { $0 = newValue } }
    }
}

/// Answers since the start, by their status's first digit.
final class RequestCounts: Sendable {
    private let classes = Mutex<[Int]>([0, 0, 0, 0, 0, 0])

    /// One more answer.
    func note(_ status: Int) { classes.withLock { $0[min(5, max(0, status / 100))] += 1 } }

    /// How many answers had each first digit, 1 to 5.
    var now: [(digit: Int, count: Int)] { classes.withLock { counts in (1...5).map { ($0, counts[$0]) } } }
}
