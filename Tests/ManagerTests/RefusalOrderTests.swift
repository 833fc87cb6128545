import EventLog
import Logging
import NIOCore
import NIOEmbedded
import Projections
import TestSupport
import Testing

@testable import manager

/// Refusals on the workers' port, over a disk that takes its time.
@Suite("A refusal waits for what it rests on") struct RefusalOrderTests {
    @Test(
        "an event that is not durable yet is nobody's reason",
        arguments: [
            (#"{"type":"add","tasks":[{"task_id":"x","phase":"p","config":{"x":2}}]}"#, #"{"type":"error""#),
            (#"{"type":"fail","worker_id":"w","items":[{"task_id":"x","attempt":1}]}"#, #"{"type":"done""#),
        ])
    func refusal(request: String, begins: String) async throws {
        let disk = SlowDisk(milliseconds: 3)
        let inside = try ManagerInProcess(try ScratchFolder(), on: disk)
        defer { inside.stop() }
        let channel = NIOAsyncTestingChannel()
        let processor = inside.processor
        try await channel.testingEventLoop.executeInContext {
            let connection = WorkerConnection(
                WorkerLoop(channel.eventLoop, processor),
                door: WorkerDoor(.loopback(Logger(label: "test")), peer: "127.0.0.1"), ConnectionCount(most: 10),
                warn: { _ in })
            try channel.pipeline.syncOperations.addHandler(connection)
        }
        try await channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 9)).get()
        // Given a task that somebody else added and that is not on the disk yet,
        disk.hold()
        try inside.add("x")
        // when a request is refused because of it, and its turn is over,
        try await channel.writeInbound(ByteBuffer(string: "\n" + request + "\n"))
        await channel.testingEventLoop.run()
        // then no answer is out before the task is durable.
        #expect(processor.writer.durable < processor.snapshot.position)
        let early = try await channel.readOutbound(as: ByteBuffer.self)
        #expect(early == nil)
        disk.release()
        processor.writer.waitUntilDurable(processor.snapshot.position)
        guard early == nil else { return }
        let answer = String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
        #expect(answer.hasPrefix(begins) && answer.contains("x"), "\(answer)")
    }
}
