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
    /// Fields of the answer besides its type.
    let headers: HTTPFields

    init(_ status: HTTPResponse.Status, _ detail: String, headers: HTTPFields = [:]) {
        self.status = status
        self.detail = detail
        self.headers = headers
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        var body = Array("{\"type\":\"about:blank\",\"title\":".utf8)
        appendJSONString(status.reasonPhrase, to: &body)
        body.append(contentsOf: ",\"status\":\(status.code),\"detail\":".utf8)
        appendJSONString(detail, to: &body)
        body.append(125)
        var headers = headers
        headers[.contentType] = "application/problem+json"
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
        if let origin = request.headers[.origin], !Self.isSame(origin, host) {
            throw Problem(.forbidden, "requests from the page \(origin) are not taken")
        }
        return try await inForm(request, context, next)
    }

    /// Whether a page comes from this manager: the same port, and the same host, or both names of this machine.
    private static func isSame(_ origin: String, _ host: String) -> Bool {
        let scheme = "http://"
        guard origin.lowercased().hasPrefix(scheme), let page = authority(String(origin.dropFirst(scheme.count))),
            let own = authority(host)
        else { return false }
        guard page.port == own.port else { return false }
        return page.host == own.host || (Endpoint.isLoopback(page.host) && Endpoint.isLoopback(own.host))
    }

    /// Host and port of a URL's authority; the port is 80 where none is named.
    private static func authority(_ text: String) -> Endpoint? {
        let text = text.lowercased()
        let hasPort = text.hasPrefix("[") ? text.contains("]:") : text.contains(":")
        return Endpoint(hasPort ? text : text + ":80")
    }

    private func inForm(
        _ request: Request, _ context: Context, _ next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch {
            guard let problem = ProblemTable.problem(error, request) else { throw error }
            throw problem
        }
    }
}
