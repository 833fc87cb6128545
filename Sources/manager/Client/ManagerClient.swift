import AsyncHTTPClient
import EventLog
import Foundation
import Glibc
import NIOCore
import NIOHTTP1
import Projections

/// The client of a running manager's HTTP calls, for verbs.
struct ManagerClient: Sendable {
    /// What a manager answered.
    struct Answer: Sendable {
        let status: UInt
        let body: [UInt8]
    }

    /// The manager's address, without a slash at its end: `http://127.0.0.1:5080`.
    let url: String
    /// Sent as `Authorization: Bearer`; nil: nothing is sent.
    let token: String?
    let trust: ServerTrust

    /// Whether a request may be sent again when its answer was lost.
    enum Repeating: Sendable { case harmless, never }

    /// How long a manager that is away, or has too much to do, is asked again.
    private static let patience = Duration.seconds(30)

    /// Takes a manager. Throws where its address is none of HTTP.
    init(_ manager: NamedManager) throws(VerbFailure) {
        guard manager.url.hasPrefix("http://") || manager.url.hasPrefix("https://") else {
            throw VerbFailure("'\(manager.url)' is no address of a manager: write http://HOST:PORT", status: 64)
        }
        url = manager.url.hasSuffix("/") ? String(manager.url.dropLast()) : manager.url
        token = manager.token
        trust = manager.trust
    }

    /// Sends a request and collects its answer, whatever its status. A manager that still replays its journal, or has
    /// too much to do, is asked again with growing pauses, for up to 30 s. So is one whose connection broke off before
    /// the answer, where a repetition is harmless; one that cannot be reached at all is a failure at once.
    func send(
        _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, type: String = "application/json",
        repeating: Repeating = .harmless, within limit: TimeAmount = .seconds(120)
    ) async throws(VerbFailure) -> Answer {
        var request = HTTPClientRequest(url: url + "/api/v1" + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        request.headers.add(name: "Manager-Actor", value: CommandLineActor.name)
        if let body {
            request.headers.add(name: "Content-Type", value: type)
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let http: HTTPClient
        do throws(ServerTrust.Problem) { http = try trust.client() } catch {
            throw VerbFailure(error.description, status: 1)
        }
        let deadline = ContinuousClock.now + Self.patience
        var backoff = RetryPause()
        var wasReached = false
        while true {
            do {
                let response = try await http.execute(request, timeout: limit)
                wasReached = true
                let collected = try await response.body.collect(upTo: 1 << 30)
                let answer = Answer(status: response.status.code, body: Array(collected.readableBytesView))
                guard answer.status == 503 || answer.status == 429, ContinuousClock.now < deadline else {
                    return answer
                }
                let named = response.headers.first(name: "Retry-After").flatMap { Int($0) }
                if let named, named > 5 { return answer }
            } catch {
                let isLost = Self.wasConnected(error)
                wasReached = wasReached || isLost
                guard wasReached, !isLost || repeating == .harmless, ContinuousClock.now < deadline else {
                    let ending = isLost ? "whether it was done is not known" : "is it running? --url names another"
                    throw VerbFailure(
                        "cannot reach the manager at \(url) (\(ConnectionFailure.words(error))): \(ending)", status: 1)
                }
            }
            do { try await Task.sleep(for: backoff.next()) } catch {
                throw VerbFailure("interrupted", status: 1)
            }
        }
    }

    /// Sends a GET and hands each line of the answer to `body` as it comes, without its end, until the answer ends.
    /// `warn`: told what the manager warns of. Throws what `body` throws, and `VerbFailure`: unreachable also where the
    /// connection breaks.
    func lines(
        _ path: String, warn: (String) -> Void = { _ in }, _ body: ([UInt8]) throws -> Void
    ) async throws {
        var rest: [UInt8] = []
        var isHead = true
        try await stream(path) { piece, field in
            if isHead, let warning = field("Manager-Warning") { warn(warning) }
            isHead = false
            rest.append(contentsOf: piece)
            var start = 0
            while let end = rest[start...].firstIndex(of: 10) {
                if end > start { try body(Array(rest[start..<end])) }
                start = end + 1
            }
            rest.removeFirst(start)
        }
    }

    /// Sends a GET and hands the pieces of the answer to `body` as they come, each with a way to read the answer's
    /// header fields; first an empty one, when the head is there. Throws as `lines`.
    func stream(_ path: String, _ body: ([UInt8], (String) -> String?) throws -> Void) async throws {
        var request = HTTPClientRequest(url: url + "/api/v1" + path)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        func unreachable(_ error: any Error) -> VerbFailure {
            var failure = VerbFailure(
                "cannot reach the manager at \(url) (\(ConnectionFailure.words(error))): is it running? --url names another",
                status: 1)
            failure.isUnreachable = true
            return failure
        }
        let http: HTTPClient
        do throws(ServerTrust.Problem) { http = try trust.client() } catch {
            throw VerbFailure(error.description, status: 1)
        }
        let response: HTTPClientResponse
        do { response = try await http.execute(request, timeout: .hours(24 * 365)) } catch {
            throw unreachable(error)
        }
        guard response.status.code == 200 else {
            let collected: ByteBuffer
            do { collected = try await response.body.collect(upTo: 1 << 20) } catch { throw unreachable(error) }
            var failure = refusal(
                Answer(status: response.status.code, body: Array(collected.readableBytesView)))
            failure.isUnreachable = response.status.code == 503 || response.status.code == 429
            throw failure
        }
        let field: (String) -> String? = { response.headers.first(name: $0) }
        try body([], field)
        var pieces = response.body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do { piece = try await pieces.next() } catch { throw unreachable(error) }
            guard let piece else { return }
            try body(Array(piece.readableBytesView), field)
        }
    }

    /// Whether a connection stood before it failed, so that the request may have been carried out.
    private static func wasConnected(_ error: any Error) -> Bool {
        if let error = error as? HTTPClientError {
            return error == .remoteConnectionClosed || error == .readTimeout || error == .deadlineExceeded
        }
        guard let error = error as? IOError else { return false }
        return error.errnoCode == ECONNRESET || error.errnoCode == EPIPE
    }

    /// Whether anybody answers there now.
    func isReachable() async -> Bool {
        do {
            let response = try await trust.client().execute(
                HTTPClientRequest(url: url + "/healthz"), timeout: .seconds(5))
            _ = try await response.body.collect(upTo: 1 << 16)
            return true
        } catch { return false }  // refused or broken off: that is the answer
    }

    /// Sends a request; any status but 200 is a failure that says what the manager said.
    func ask(
        _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, type: String = "application/json",
        repeating: Repeating = .harmless, within limit: TimeAmount = .seconds(120)
    ) async throws(VerbFailure) -> [UInt8] {
        let answer = try await send(method, path, body: body, type: type, repeating: repeating, within: limit)
        guard answer.status == 200 else { throw refusal(answer) }
        return answer.body
    }

    /// A refusal in one sentence: the problem's detail where there is one.
    func refusal(_ answer: Answer) -> VerbFailure {
        if answer.status == 401 {
            let why = token == nil ? "wants a token" : "does not know this token"
            return VerbFailure("the manager at \(url) \(why): set MANAGER_TOKEN", status: 1)
        }
        var detail: String?
        answer.body.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    if key == "detail" { detail = try reader.string() } else { try reader.skip() }
                }
            } catch { detail = nil }
        }
        guard let detail else {
            let text = String(decoding: answer.body.prefix(200), as: UTF8.self)
            return VerbFailure("\(url) answered \(answer.status): \(text) (is that a manager?)", status: 1)
        }
        return VerbFailure(detail, status: 1)
    }
}

/// A number in the answer's object. Throws where it is missing: that is no manager's answer.
func answerNumber(_ name: String, in body: [UInt8]) throws(VerbFailure) -> Int {
    var number: Int64?
    var problem: JSONError?
    body.withUnsafeBufferPointer { buffer in
        var reader = JSONReader(buffer)
        do throws(JSONError) {
            try reader.object { key, reader throws(JSONError) in
                if key == name { number = try reader.integer() } else { try reader.skip() }
            }
        } catch { problem = error }
    }
    guard problem == nil, let number else {
        throw VerbFailure("the answer has no '\(name)': is that a manager of this version?", status: 1)
    }
    return Int(number)
}

/// Growing pauses between tries, a little different each time so that many clients do not come at once.
struct RetryPause {
    private var seconds = 0.1

    /// The next pause: 0.1 s, doubled each time, at most 3 s, each shortened by up to half.
    mutating func next() -> Duration {
        defer { seconds = min(3, seconds * 2) }
        return .seconds(seconds * Double.random(in: 0.5...1))
    }
}
