import EventLog
import HTTPTypes
import Logging
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Projections
import Testing

@testable import manager

/// The short way of workers' calls, on an event loop that goes on only when a test says so.
@Suite("The quick lane, step by step") struct QuickLaneOrderTests {
    private let inside: ManagerInProcess
    private let channel: EmbeddedChannel

    init() throws {
        let inside = try ManagerInProcess(try ScratchFolder())
        self.inside = inside
        let processor = inside.processor
        let desk = QuickDesk(
            gatekeeper: Gatekeeper(listen: try #require(Endpoint("127.0.0.1:5080"))),
            security: .loopback(Logger(label: "test")), log: nil, counts: RequestCounts(), limits: ServerLimits(),
            loaded: { processor })
        channel = EmbeddedChannel(handler: QuickLane(desk))
        try channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 9)).wait()
        for name in ["a", "b"] {
            _ = try processor.add(
                [TaskSpec(id: name, phase: "p", config: Array("{}".utf8), outputDirectories: ["results_p"])], actor: nil
            )
        }
    }

    private func send(_ path: String, _ body: String) throws {
        let head = HTTPRequest(
            method: .post, scheme: "http", authority: "127.0.0.1:5080", path: "/api/v1" + path,
            headerFields: [.contentType: "application/json", .contentLength: "\(body.utf8.count)"])
        try channel.writeInbound(HTTPRequestPart.head(head))
        try channel.writeInbound(HTTPRequestPart.body(ByteBuffer(string: body)))
        try channel.writeInbound(HTTPRequestPart.end(nil))
    }

    /// What the loop's turn writes when all is durable: statuses and bodies.
    private func answers() throws -> [String] {
        inside.processor.writer.waitUntilDurable(inside.processor.snapshot.position)
        channel.embeddedEventLoop.run()
        var found: [String] = []
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            switch part {
            case .head(let head): found.append("\(head.status.code)")
            case .body(let buffer): found.append(String(buffer: buffer))
            case .end: break
            }
        }
        return found
    }

    private func status(_ task: String) throws -> TaskStatus {
        let state = inside.processor.snapshot
        return state.taskLine(try #require(state.taskNumber(task))).status
    }

    /// The requests that reached the router's side.
    private func handedOn() throws -> [String] {
        var found: [String] = []
        while let part = try channel.readInbound(as: HTTPRequestPart.self) {
            if case .head(let head) = part { found.append(head.path ?? "") }
        }
        return found
    }

    @Test func `a client that leaves before its claim is durable has been assigned nothing`() throws {
        try send("/claims", #"{"worker":"w"}"#)
        #expect(try status("a") == .assigned)
        try channel.close().wait()
        #expect(try status("a") == .pending)
        #expect(inside.processor.snapshot.taskLine(0).retryCount == 0)
    }

    @Test func `what comes behind a request waits for its answer, and so does the client's end`() throws {
        try send("/claims", #"{"worker":"w"}"#)
        try send("/tasks/a/complete", #"{"worker":"w","attempt":1}"#)
        try send("/tasks/a/hold", "{}")
        try send("/claims", #"{"worker":"w"}"#)
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        #expect(try status("a") == .assigned)
        #expect(try handedOn().isEmpty)
        let first = try answers()
        #expect(first.first == "200" && first.last?.hasPrefix(#"{"tasks":[{"task_id":"a""#) == true)
        #expect(try status("a") == .complete)
        #expect(try answers() == ["200", #"{"ok":true}"#])
        // Behind a request that the router answers everything takes its way, until that answer is out.
        #expect(try handedOn() == ["/api/v1/tasks/a/hold", "/api/v1/claims"])
        #expect(try answers().isEmpty)
        for _ in 0..<2 {
            try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
            try channel.writeOutbound(HTTPResponsePart.end(nil))
        }
        #expect(try answers() == ["200", "200"])
        try send("/claims", #"{"worker":"w"}"#)
        #expect(try status("b") == .assigned)
        #expect(try answers().first == "200")
    }

    @Test func `whatever is refused is handed on whole`() throws {
        try send("/tasks/a/complete", #"{"worker":"w","attempt":1}"#)
        try send("/tasks/a/fail", #"{"worker":"w","attempt":1"#)
        try send("/claims", #"{"worker":"w","count":0}"#)
        #expect(try handedOn() == ["/api/v1/tasks/a/complete", "/api/v1/tasks/a/fail", "/api/v1/claims"])
        #expect(try answers().isEmpty)
    }
}
