import EventLog
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import Synchronization

/// Sends large answers compressed to clients that take gzip. What is written while it is made stays as it is.
struct GzipAnswer: RouterMiddleware {
    /// Below this the frame costs more than it saves.
    private static let leastBytes = 4 << 10

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        var response = try await next(request, context)
        guard request.method == .get, response.status == .ok, let count = response.body.contentLength,
            count >= Self.leastBytes
        else { return response }
        response.headers[.vary] = "Accept-Encoding"
        guard Self.takesGzip(request.headers[.acceptEncoding]) else { return response }
        let whole = Collected()
        try await response.body.write(CollectingWriter(whole: whole))
        let packed = await onThread(named: "http-gzip") { gzipMember(whole.bytes) }
        response.headers[.contentEncoding] = "gzip"
        response.body = ResponseBody(byteBuffer: ByteBuffer(bytes: packed))
        return response
    }

    /// Whether a client's `Accept-Encoding` names gzip, and not with weight 0 (RFC 9110, section 12.5.3).
    static func takesGzip(_ accepted: String?) -> Bool {
        (accepted ?? "").lowercased().split(separator: ",").contains { part in
            let words = part.split(separator: ";").map { $0.filter { $0 != " " } }
            guard words.first == "gzip" || words.first == "*" else { return false }
            guard let weight = words.dropFirst().first(where: { $0.hasPrefix("q=") }) else { return true }
            return Double(weight.dropFirst(2)).map { $0 > 0 } ?? false
        }
    }

    /// The bytes of a body.
    private final class Collected: Sendable {
        private let held = Mutex<[UInt8]>([])

        var bytes: [UInt8] { held.withLock { $0 } }

        func add(_ buffer: ByteBuffer) { held.withLock { $0.append(contentsOf: buffer.readableBytesView) } }
    }

    private struct CollectingWriter: ResponseBodyWriter {
        let whole: Collected

        mutating func write(_ buffer: ByteBuffer) async throws { whole.add(buffer) }

        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }
}
