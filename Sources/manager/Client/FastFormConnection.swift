import DequeModule
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// Why a connection gave no answer.
struct ConnectionFailure: Error, Sendable, CustomStringConvertible {
    /// One sentence without a full stop.
    let description: String

    /// Why a connection failed: the system's words where it was the system.
    static func words(_ error: any Error) -> String {
        if let failed = error as? NIOConnectionError, let first = failed.connectionErrors.first {
            return words(first.error)
        }
        if let failed = error as? IOError { return String(cString: strerror(failed.errnoCode)) }
        let text = "\(error)"
        return text.count > 200 ? text.prefix(200) + "…" : text
    }
}

/// A client's connection in the fast form of the workers' protocol: lines out, lines in, in the same order.
///
/// Calls may come from several tasks at once. After any failure the connection is closed and every later call fails.
final class FastFormConnection: Sendable {
    private let channel: any Channel
    private let answers: NIOLoopBound<AnswerReader>

    private init(_ channel: any Channel, _ answers: NIOLoopBound<AnswerReader>) {
        self.channel = channel
        self.answers = answers
    }

    /// Connects within 5 s, in TLS where the destination wants it.
    static func open(
        _ destination: WorkerDestination, trust: ServerTrust = ServerTrust()
    ) async throws(ConnectionFailure) -> FastFormConnection {
        let eventLoop = MultiThreadedEventLoopGroup.singleton.next()
        let endpoint = destination.endpoint
        do {
            let tls = destination.isSecure ? try NIOSSLContext(configuration: try trust.configuration()) : nil
            // A certificate is compared with the name; for a bare address, with the address.
            let name = endpoint.isNumeric ? nil : endpoint.host
            let reader = try await eventLoop.submit { NIOLoopBound(AnswerReader(), eventLoop: eventLoop) }.get()
            let channel = try await ClientBootstrap(group: eventLoop)
                .connectTimeout(.seconds(5))
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        if let tls {
                            try channel.pipeline.syncOperations.addHandler(
                                NIOSSLClientHandler(context: tls, serverHostname: name))
                        }
                        try channel.pipeline.syncOperations.addHandler(reader.value)
                    }
                }
                .connect(host: endpoint.host, port: endpoint.port).get()
            try await refuseItself(channel)
            try await channel.writeAndFlush(ByteBuffer(bytes: [10])).get()
            return FastFormConnection(channel, reader)
        } catch {
            throw ConnectionFailure(description: "cannot connect to \(endpoint): \(ConnectionFailure.words(error))")
        }
    }

    /// Nobody listens there, and the system has given our own end the port that was asked for: TCP connects the two
    /// (RFC 9293, simultaneous open), and the manager that is to listen there could not bind its port. Throws then, with
    /// the connection closed.
    static func refuseItself(_ channel: any Channel) async throws {
        guard let local = channel.localAddress, local == channel.remoteAddress else { return }
        // Reset, not closed in order: no TIME_WAIT may keep the manager from its port.
        let options = channel as? any SocketOptionProvider
        try await options?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await channel.close()
        throw IOError(errnoCode: ECONNREFUSED, reason: "connected to itself")
    }

    /// Sends a request (without a newline) and waits for its answer. Closes the connection when none came in time.
    func ask(_ request: [UInt8], within limit: Duration) async throws(ConnectionFailure) -> [UInt8] {
        let (channel, answers) = (channel, answers)
        let answer = channel.eventLoop.flatSubmit {
            let promise = channel.eventLoop.makePromise(of: [UInt8].self)
            answers.value.expect(promise)
            var buffer = channel.allocator.buffer(capacity: request.count + 1)
            buffer.writeBytes(request)
            buffer.writeInteger(UInt8(10))
            channel.writeAndFlush(buffer, promise: nil)
            let timeout = channel.eventLoop.scheduleTask(in: .milliseconds(Int64(limit.seconds * 1000))) {
                answers.value.fail("no answer came within \(Int(limit.seconds)) s")
                channel.close(promise: nil)
            }
            promise.futureResult.whenComplete { _ in timeout.cancel() }
            return promise.futureResult
        }
        do { return try await answer.get() } catch let failure as ConnectionFailure { throw failure } catch {
            throw ConnectionFailure(description: "the connection failed: \(error)")
        }
    }

    /// Says that nothing more will be asked: waits end, what was asked is still answered.
    func finishAsking() { channel.close(mode: .output, promise: nil) }

    /// Closes it; whoever waits gets a failure.
    func close() { channel.close(promise: nil) }
}

/// Splits what comes into lines and gives each to whoever asked first. Lives on its event loop.
private final class AnswerReader: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private static let longestAnswerBytes = 64 << 20

    private var expected: Deque<EventLoopPromise<[UInt8]>> = []
    private var input: [UInt8] = []
    private var failure: ConnectionFailure?

    func expect(_ promise: EventLoopPromise<[UInt8]>) {
        if let failure { promise.fail(failure) } else { expected.append(promise) }
    }

    func fail(_ why: String) {
        let failure = failure ?? ConnectionFailure(description: why)
        self.failure = failure
        for promise in expected { promise.fail(failure) }
        expected.removeAll()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { input.append(contentsOf: $0) }
        var start = 0
        while let newline = input[start...].firstIndex(of: 10) {
            expected.popFirst()?.succeed(Array(input[start..<newline]))
            start = newline + 1
        }
        input.removeFirst(start)
        if input.count > Self.longestAnswerBytes {
            fail("the answer has more than 64 MiB: is this a manager's worker port?")
            context.close(promise: nil)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail("the connection failed: \(error)")
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail("the manager closed the connection")
        context.fireChannelInactive()
    }
}
