import HTTPTypes
import Hummingbird
import NIOCore
import Projections

/// Answers in JSON and plain text.
enum JSONAnswer {
    /// A JSON body.
    static func json(_ bytes: [UInt8], status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// Plain text.
    static func text(_ text: String) -> Response {
        Response(
            status: .ok, headers: [.contentType: "text/plain; charset=utf-8"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

/// An error as problem details (RFC 9457).
struct Problem: Error, HTTPResponseError {
    let status: HTTPResponse.Status
    let detail: String

    init(_ status: HTTPResponse.Status, _ detail: String) {
        self.status = status
        self.detail = detail
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var body = Array("{\"type\":\"about:blank\",\"title\":".utf8)
        appendJSONString(status.reasonPhrase, to: &body)
        body.append(contentsOf: ",\"status\":\(status.code),\"detail\":".utf8)
        appendJSONString(detail, to: &body)
        body.append(125)
        var headers: HTTPFields = [.contentType: "application/problem+json"]
        if status == .serviceUnavailable || status == .tooManyRequests { headers[.retryAfter] = "1" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}

/// Turns away what comes by another name or from another site's page (DNS rebinding, cross-site requests), and gives
/// every error the form of problem details.
struct Gatekeeper<Context: RequestContext>: RouterMiddleware {
    let listen: Endpoint

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let host = request.head.authority ?? ""
        let name = Endpoint(host)?.host ?? (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host)
        guard name == listen.host || Endpoint.isLoopback(name) else {
            throw Problem(.misdirectedRequest, "this manager does not answer to the host name '\(name)'")
        }
        if let origin = request.headers[.origin], origin != "http://\(host)" {
            throw Problem(.forbidden, "requests from the page \(origin) are not taken")
        }
        do { return try await next(request, context) } catch {
            guard let problem = ProblemTable.problem(error, request) else { throw error }
            throw problem
        }
    }
}
