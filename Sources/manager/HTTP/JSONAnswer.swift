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
    /// For 429 and 503.
    var retryAfterSeconds = 1

    init(_ status: HTTPResponse.Status, _ detail: String, headers: HTTPFields = [:], retryAfterSeconds: Int = 1) {
        self.status = status
        self.detail = detail
        self.headers = headers
        self.retryAfterSeconds = retryAfterSeconds
    }

    /// The problem's JSON.
    var body: [UInt8] {
        var body = Array("{\"type\":\"about:blank\",\"title\":".utf8)
        appendJSONString(status.reasonPhrase, to: &body)
        body.append(contentsOf: ",\"status\":\(status.code),\"detail\":".utf8)
        appendJSONString(detail, to: &body)
        return body + [125]
    }

    /// The header fields that go with it.
    var fields: HTTPFields {
        var fields = headers
        fields[.contentType] = "application/problem+json"
        if status == .serviceUnavailable || status == .tooManyRequests { fields[.retryAfter] = "\(retryAfterSeconds)" }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Bearer realm=\"manager\"" }
        return fields
    }

    func response(from request: Request, context: some RequestContext) throws -> Response {
        Response(status: status, headers: fields, body: .init(byteBuffer: ByteBuffer(bytes: body)))
    }
}

/// Turns away what comes by another name or from another site's page (DNS rebinding, cross-site requests), and gives
/// every error the form of problem details.
struct Gatekeeper: RouterMiddleware {
    let listen: Endpoint
    /// Names of the manager's machine by which it is called, besides the listen address.
    var allowedHosts: Set<String> = []
    var scheme = "http"

    func handle(
        _ request: Request, context: ManagerContext, next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        let host = request.head.authority ?? ""
        guard answers(to: host, local: context.local) else {
            let name = Self.name(host)
            guard !name.isEmpty else {
                throw Problem(.misdirectedRequest, "the request names no host: send the header Host")
            }
            throw Problem(
                .misdirectedRequest,
                "this manager does not answer to the host name '\(name)': --allow-host \(name) lets it")
        }
        if let origin = request.headers[.origin], !Self.isSame(origin, host, scheme) {
            throw Problem(.forbidden, "requests from the page \(origin) are not taken")
        }
        return try await inForm(request, context, next)
    }

    /// Whether a `Host` means this manager. `local`: the connection's own address, which is a number, never a name that
    /// somebody could point here.
    func answers(to host: String, local: String?) -> Bool {
        let name = Self.name(host)
        return name == listen.host || Endpoint.isLoopback(name) || name == local
            || allowedHosts.contains(name.lowercased())
    }

    private static func name(_ host: String) -> String {
        Endpoint(host)?.host ?? (host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host)
    }

    /// Whether a page comes from this manager: the same port, and the same host, or both names of this machine.
    private static func isSame(_ origin: String, _ host: String, _ scheme: String) -> Bool {
        let port = scheme == "https" ? 443 : 80
        let scheme = scheme + "://"
        guard origin.lowercased().hasPrefix(scheme), let page = authority(String(origin.dropFirst(scheme.count)), port),
            let own = authority(host, port)
        else { return false }
        guard page.port == own.port else { return false }
        return page.host == own.host || (Endpoint.isLoopback(page.host) && Endpoint.isLoopback(own.host))
    }

    /// Host and port of a URL's authority; `port` where none is named.
    private static func authority(_ text: String, _ port: Int) -> Endpoint? {
        let text = text.lowercased()
        let hasPort = text.hasPrefix("[") ? text.contains("]:") : text.contains(":")
        return Endpoint(hasPort ? text : text + ":\(port)")
    }

    private func inForm(
        _ request: Request, _ context: ManagerContext,
        _ next: (Request, ManagerContext) async throws -> Response
    ) async throws -> Response {
        do { return try await next(request, context) } catch {
            guard let problem = ProblemTable.problem(error, request, context) else { throw error }
            throw problem
        }
    }
}
