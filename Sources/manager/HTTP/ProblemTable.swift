import EventLog
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Projections

/// The one table from errors to HTTP statuses.
enum ProblemTable {
    /// An error as problem details; nil for what is no answer (a client that left).
    static func problem(_ error: any Error, _ request: Request, _ context: ManagerContext) -> Problem? {
        switch error {
        case let problem as Problem: problem
        case let rejection as Rejection:
            Problem(status(rejection), rejection.detail)
        case let json as JSONError: Problem(.badRequest, "the body is not what is due here: \(json)")
        case let sweep as SweepError: Problem(.badRequest, sweep.description)
        case let text as MomentText.Malformed: Problem(.badRequest, text.description)
        case is NIOTooManyBytesError: tooLarge(context.limits)
        case let error as HTTPError:
            Problem(
                error.status, error.body ?? "\(request.method) \(request.uri.path): \(error.status.reasonPhrase)")
        case JournalError.discarded(let history): Problem(.gone, history.description)
        case let error as JournalError: Problem(.internalServerError, error.description)
        case let error as FileError: Problem(.internalServerError, error.description)
        default: nil
        }
    }

    /// A refusal's status, with its name.
    private static func status(_ rejection: Rejection) -> HTTPResponse.Status {
        switch rejection.status {
        case 400: .badRequest
        case 404: .notFound
        case 409: .conflict
        case 413: .contentTooLarge
        case 503: .serviceUnavailable
        case 507: HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
        case let other: preconditionFailure("a refusal has no status \(other)")
        }
    }

    /// The answer to a body over the bound.
    static func tooLarge(_ limits: ServerLimits) -> Problem {
        let size = limits.bodyBytes % (1 << 20) == 0 ? "\(limits.bodyBytes >> 20) MiB" : "\(limits.bodyBytes) bytes"
        return Problem(.contentTooLarge, "the body has more than \(size): send it in several requests")
    }
}

/// What a request's body must be.
enum BodyRules {
    /// The media types of JSON.
    static let json: Set<String> = ["application/json"]
    /// The media types of YAML (RFC 9512 and those in use before it).
    static let yaml: Set<String> = ["application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml"]

    /// The body as bytes. Throws 415 for another media type and 413 for more than the limit (8 MiB). `mayBeEmpty`: nothing at all,
    /// without a type, is taken too.
    static func bytes(
        _ request: inout Request, _ context: ManagerContext, _ types: Set<String> = json, mayBeEmpty: Bool = false
    ) async throws -> [UInt8] {
        let type = request.headers[.contentType].map {
            $0.prefix { $0 != ";" }.trimmingSpaces.lowercased()
        }
        if let coding = request.headers[.contentEncoding], coding.lowercased() != "identity" {
            throw Problem(
                .unsupportedMediaType, "a body in \(coding) is not taken: send it as it is, without Content-Encoding")
        }
        let length = request.headers[.contentLength].flatMap { Int($0) }
        if let length, length > context.limits.bodyBytes { throw ProblemTable.tooLarge(context.limits) }
        let isTyped = type.map { types.contains($0) } ?? false
        let hasBody = (length ?? 0) > 0 || request.headers[.transferEncoding] != nil
        if !isTyped, hasBody || !mayBeEmpty {
            throw Problem(
                .unsupportedMediaType,
                "the body must be \(types.sorted()[0]), it is \(type ?? "of no named type"): set Content-Type")
        }
        return Array(try await request.collectBody(upTo: context.limits.bodyBytes).readableBytesView)
    }

    /// Reads a body that is one JSON object, member by member.
    static func object(
        _ bytes: [UInt8], _ take: (String, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        var failure: JSONError?
        bytes.withUnsafeBufferPointer { buffer in
            do throws(JSONError) { try object(buffer, take) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Reads a body that lies elsewhere.
    static func object(
        _ bytes: UnsafeBufferPointer<UInt8>, _ take: (String, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        var reader = JSONReader(bytes)
        try reader.object(take)
        try reader.finish()
    }
}

extension Substring {
    /// Without spaces at both ends.
    fileprivate var trimmingSpaces: Substring {
        var text = self
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return text
    }
}

/// What the routes have in common.
struct RouteSet: Sendable {
    /// The routes' router.
    typealias Routes = Router<ManagerContext>

    /// The header in which the command line says who asks.
    static let actorHeader = HTTPField.Name("Manager-Actor")

    /// What is there once the journal is replayed; throws 503 before.
    let ready: @Sendable () throws -> HTTPService.Loaded

    /// Adds the calls that read and act.
    func add(to router: Routes) {
        TaskRoutes(set: self).add(to: router)
        ClaimRoutes(set: self).add(to: router)
        ReportRoutes(set: self).add(to: router)
        OperationRoutes(set: self).add(to: router)
        EventRoutes(set: self).add(to: router)
        ResultRoutes(set: self).add(to: router)
        LogRoutes(set: self).add(to: router)
    }

    /// Who asks, for the journal: the token's name; without tokens what the command line says of itself, else `http`.
    static func actor(_ request: Request, _ context: ManagerContext) -> String {
        if let caller = context.caller { return caller.name }
        return actor(actorHeader.flatMap { request.headers[$0] })
    }

    /// Who asks where there are no tokens, by what the request says.
    static func actor(_ said: String?) -> String {
        guard let said, said.hasPrefix("cli:"), Bounds.problem(withName: said, what: "actor") == nil else {
            return "http"
        }
        return said
    }

    /// Throws 413 where a list in the body has too many elements.
    static func bound(_ count: Int, _ what: String, _ context: ManagerContext) throws(Problem) {
        guard count > context.limits.items else { return }
        throw Problem(
            .contentTooLarge,
            "the request has \(count) \(what), at most \(context.limits.items) are allowed: send it in several requests"
        )
    }

    /// The id in the path.
    static func id(_ context: ManagerContext) throws -> String {
        let raw = try context.parameters.require("id")
        guard let id = raw.removingPercentEncoding else {
            throw Problem(.badRequest, "the task's id in the path is not percent-encoded UTF-8")
        }
        return id
    }

    /// A whole number in the query; nil where it is missing. Throws 400 outside the range.
    static func number(_ request: Request, _ name: String, _ range: ClosedRange<Int>) throws -> Int? {
        guard let text = request.uri.queryParameters[name[...]] else { return nil }
        guard let number = Int(text), range.contains(number) else {
            throw Problem(
                .badRequest,
                "\(name)=\(text) is no whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A switch in the query; false where it is missing. Throws 400 for what is neither true nor false.
    static func flag(_ request: Request, _ name: String) throws -> Bool {
        switch text(request, name) ?? "false" {
        case "true", "1", "": return true
        case "false", "0": return false
        case let other: throw Problem(.badRequest, "\(name)=\(other) is neither true nor false")
        }
    }

    /// A text in the query; nil where it is missing.
    static func text(_ request: Request, _ name: String) -> String? {
        request.uri.queryParameters[name[...]].map(String.init)
    }
}

extension CommandProcessor {
    /// Decides, and waits until the answer, or what the refusal was decided on, is durable.
    func settled<Answer: Sendable>(
        _ decide: () throws(Rejection) -> Decided<Answer>
    ) async throws(Rejection) -> Answer {
        do throws(Rejection) {
            let decided = try decide()
            await publisher.durable(decided.position)
            return decided.answer
        } catch {
            await publisher.durable(read { _ in }.position)
            throw error
        }
    }
}
