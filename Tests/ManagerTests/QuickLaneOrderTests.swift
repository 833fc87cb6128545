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
    private let channel: NIOAsyncTestingChannel

    init() async throws {
        let inside = try ManagerInProcess(try ScratchFolder())
        self.inside = inside
        let processor = inside.processor
        let desk = QuickDesk(
            gatekeeper: Gatekeeper(listen: try #require(Endpoint("127.0.0.1:5080"))),
            security: .loopback(Logger(label: "test")), log: nil, counts: RequestCounts(), limits: ServerLimits(),
            loaded: { processor })
        let channel = NIOAsyncTestingChannel()
        self.channel = channel
        try await channel.testingEventLoop.executeInContext {
            try channel.pipeline.syncOperations.addHandler(QuickLane(desk))
        }
        try await channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 9)).get()
        for name in ["a", "b"] {
            let task = TaskSpec(
                id: name, phase: "p", config: Array("{}".utf8), outputDirectories: ["results_p"])
            _ = try processor.add([task], actor: nil)
        }
    }

    private func send(_ path: String, _ body: String) async throws {
        let head = HTTPRequest(
            method: .post, scheme: "http", authority: "127.0.0.1:5080", path: "/api/v1" + path,
            headerFields: [.contentType: "application/json", .contentLength: "\(body.utf8.count)"])
        try await channel.writeInbound(HTTPRequestPart.head(head))
        try await channel.writeInbound(HTTPRequestPart.body(ByteBuffer(string: body)))
        try await channel.writeInbound(HTTPRequestPart.end(nil))
    }

    /// The status and body of the next answer.
    private func answer() async throws -> [String] {
        var found: [String] = []
        while true {
            switch try await channel.waitForOutboundWrite(as: HTTPResponsePart.self) {
            case .head(let head): found.append("\(head.status.code)")
            case .body(let buffer): found.append(String(buffer: buffer))
            case .end: return found
            }
        }
    }

    private func status(_ task: String) throws -> TaskStatus {
        let state = inside.processor.snapshot
        return state.taskLine(try #require(state.taskNumber(task))).status
    }

    /// The requests that reached the router's side.
    private func handedOn() async throws -> [String] {
        var found: [String] = []
        while let part = try await channel.readInbound(as: HTTPRequestPart.self) {
            if case .head(let head) = part { found.append(head.path ?? "") }
        }
        return found
    }

    @Test func `a client that leaves before its claim is durable has been assigned nothing`() async throws {
        try await send("/claims", #"{"worker":"w"}"#)
        #expect(try status("a") == .assigned)
        let channel = channel
        try await channel.testingEventLoop.executeInContext { channel.close(promise: nil) }
        #expect(try status("a") == .pending)
        #expect(inside.processor.snapshot.taskLine(0).retryCount == 0)
    }

    @Test func `what comes behind a request waits for its answer, and so does the client's end`() async throws {
        try await send("/claims", #"{"worker":"w"}"#)
        try await send("/tasks/a/complete", #"{"worker":"w","attempt":1}"#)
        try await send("/tasks/a/hold", "{}")
        try await send("/claims", #"{"worker":"w"}"#)
        let channel = channel
        try await channel.testingEventLoop.executeInContext {
            channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        }
        #expect(try status("a") == .assigned)
        #expect(try await handedOn().isEmpty)
        await channel.testingEventLoop.run()
        let first = try await answer()
        #expect(first.first == "200" && first.last?.hasPrefix(#"{"tasks":[{"task_id":"a""#) == true)
        #expect(try await answer() == ["200", #"{"ok":true}"#])
        #expect(try status("a") == .complete)
        // Behind a request that the router answers everything takes its way, until that answer is out.
        #expect(try await handedOn() == ["/api/v1/tasks/a/hold", "/api/v1/claims"])
        for _ in 0..<2 {
            try await channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .conflict)))
            try await channel.writeOutbound(HTTPResponsePart.end(nil))
            #expect(try await answer() == ["409"])
        }
        try await send("/claims", #"{"worker":"w"}"#)
        #expect(try status("b") == .assigned)
        await channel.testingEventLoop.run()
        #expect(try await answer().first == "200")
    }

    @Test func `whatever is refused is handed on whole`() async throws {
        try await send("/tasks/a/complete", #"{"worker":"w","attempt":1}"#)
        try await send("/tasks/a/fail", #"{"worker":"w","attempt":1"#)
        try await send("/claims", #"{"worker":"w","count":0}"#)
        #expect(try await handedOn() == ["/api/v1/tasks/a/complete", "/api/v1/tasks/a/fail", "/api/v1/claims"])
        #expect(try await channel.readOutbound(as: HTTPResponsePart.self) == nil)
    }
}
