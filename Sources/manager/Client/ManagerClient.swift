import AsyncHTTPClient
import EventLog
import Foundation
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

    /// One for the whole program, never shut down. A refused connection is an answer: it is not tried again and again.
    private static let http: HTTPClient = {
        var configuration = HTTPClient.Configuration(timeout: .init(connect: .seconds(5)))
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroup: HTTPClient.defaultEventLoopGroup, configuration: configuration)
    }()

    /// Names a manager. Throws where the text is no HTTP address.
    init(_ url: String, token: String? = ProcessInfo.processInfo.environment["MANAGER_TOKEN"]) throws(VerbFailure) {
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw VerbFailure("'\(url)' is no address of a manager: write http://HOST:PORT", status: 64)
        }
        self.url = url.hasSuffix("/") ? String(url.dropLast()) : url
        self.token = token.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Sends a request and collects its answer, whatever its status. A manager that still replays its journal, or has
    /// too much to do, is asked again for up to 30 s.
    func send(
        _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, type: String = "application/json"
    ) async throws(VerbFailure) -> Answer {
        var request = HTTPClientRequest(url: url + "/api/v1" + path)
        request.method = method
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        request.headers.add(name: "Manager-Actor", value: CommandLineActor.name)
        if let body {
            request.headers.add(name: "Content-Type", value: type)
            request.body = .bytes(ByteBuffer(bytes: body))
        }
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let answer: Answer
            do {
                let response = try await Self.http.execute(request, timeout: .seconds(120))
                let collected = try await response.body.collect(upTo: 1 << 30)
                answer = Answer(status: response.status.code, body: Array(collected.readableBytesView))
            } catch {
                throw VerbFailure(
                    "cannot reach the manager at \(url) (\(Self.words(error))): is it running? --url names another",
                    status: 1)
            }
            guard answer.status == 503 || answer.status == 429, ContinuousClock.now < deadline else { return answer }
            do { try await Task.sleep(for: .milliseconds(300)) } catch {
                throw VerbFailure("interrupted", status: 1)
            }
        }
    }

    /// Sends a GET and hands each line of the answer to `body` as it comes, without its end, until the answer ends.
    /// Throws what `body` throws, and `VerbFailure`: unreachable also where the connection breaks.
    func lines(_ path: String, _ body: ([UInt8]) throws -> Void) async throws {
        var request = HTTPClientRequest(url: url + "/api/v1" + path)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        func unreachable(_ error: any Error) -> VerbFailure {
            var failure = VerbFailure(
                "cannot reach the manager at \(url) (\(Self.words(error))): is it running? --url names another",
                status: 1)
            failure.isUnreachable = true
            return failure
        }
        let response: HTTPClientResponse
        do { response = try await Self.http.execute(request, timeout: .hours(24 * 365)) } catch {
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
        var rest: [UInt8] = []
        var pieces = response.body.makeAsyncIterator()
        while true {
            let piece: ByteBuffer?
            do { piece = try await pieces.next() } catch { throw unreachable(error) }
            guard let piece else { return }
            rest.append(contentsOf: piece.readableBytesView)
            var start = 0
            while let end = rest[start...].firstIndex(of: 10) {
                if end > start { try body(Array(rest[start..<end])) }
                start = end + 1
            }
            rest.removeFirst(start)
        }
    }

    /// Whether anybody answers there now.
    func isReachable() async -> Bool {
        do {
            let response = try await Self.http.execute(HTTPClientRequest(url: url + "/healthz"), timeout: .seconds(5))
            _ = try await response.body.collect(upTo: 1 << 16)
            return true
        } catch { return false }  // refused or broken off: that is the answer
    }

    /// Sends a request; any status but 200 is a failure that says what the manager said.
    func ask(
        _ method: HTTPMethod, _ path: String, body: [UInt8]? = nil, type: String = "application/json"
    ) async throws(VerbFailure) -> [UInt8] {
        let answer = try await send(method, path, body: body, type: type)
        guard answer.status == 200 else { throw refusal(answer) }
        return answer.body
    }

    /// A refusal in one sentence: the problem's detail where there is one.
    func refusal(_ answer: Answer) -> VerbFailure {
        if answer.status == 401 {
            return VerbFailure("the manager at \(url) wants a token: set MANAGER_TOKEN", status: 1)
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

    private static func words(_ error: any Error) -> String {
        let text = "\(error)"
        return text.count > 200 ? text.prefix(200) + "…" : text
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
