import EventLog
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Guards one HTTP connection: requests that come too slowly, heads that are too long or broken, and connections beyond
/// the bound. Lives on its event loop.
final class ConnectionWatch: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum Phase { case head, body, answer, over }

    /// Bytes of a body that buy one more second.
    private static let bytesOfASecond = 16 << 10

    private let limits: ServerLimits
    private let count: ConnectionCount
    private var phase = Phase.head
    private var entry: ConnectionCount.Entry?
    private var timer: Scheduled<Void>?
    private var bodyBytes = 0
    /// The answer is out although the request's body is not all there: nobody wanted it.
    private var isAnswered = false
    /// An answer's head is out, and its end is not.
    private var isAnswering = false
    /// The manager stops: what is asked already is answered, and nothing more is taken.
    private var isStopping = false
    private var isDeaf = false

    init(_ limits: ServerLimits, _ count: ConnectionCount) {
        self.limits = limits
        self.count = count
    }

    func handlerAdded(context: ChannelHandlerContext) { if context.channel.isActive { begin(context) } }

    func channelActive(context: ChannelHandlerContext) {
        begin(context)
        context.fireChannelActive()
    }

    private func begin(_ context: ChannelHandlerContext) {
        guard entry == nil else { return }
        let entry = count.enter()
        self.entry = entry
        switch entry {
        case .served: wait(context, limits.request)
        case .toldFull: wait(context, .seconds(5))
        case .closed: context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        phase = .over
        if entry != nil { count.leave() }
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, !isStopping {
            isStopping = true
            if phase == .body { wait(context, min(limits.request, limits.stop)) }
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard phase != .over, !isDeaf else { return }
        switch unwrapInboundIn(data) {
        case .head where isStopping:
            isDeaf = true
            return
        case .head:
            isAnswered = false
            guard entry == .served else {
                return end(
                    context, .serviceUnavailable, "\(count.most) connections are open already; try again in a second")
            }
            phase = .body
            bodyBytes = 0
            wait(context, limits.request)
        case .body(let buffer):
            bodyBytes += buffer.readableBytes
            // Read and thrown away, so that a client that sends first and reads then finds its answer.
            if isAnswered { return }
        case .end:
            phase = isAnswered ? .head : .answer
            timer?.cancel()
            timer = nil
            if isAnswered { wait(context, limits.idle) }
        }
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if phase == .body, isAnswered { context.read() }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .over else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let head): isAnswering = head.status.kind != .informational
        case .body: break
        case .end:
            (isAnswered, isAnswering) = (true, false)
            if isStopping {
                context.writeAndFlush(data, promise: promise)
                return context.close(promise: nil)
            }
            if phase == .answer {
                phase = .head
                wait(context, limits.idle)
            } else if phase == .body {
                context.read()
            }
        }
        context.write(data, promise: promise)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // In a body too, unless its answer has begun already.
        guard phase == .head || phase == .body && !isAnswered && !isAnswering, let error = error as? HTTPParserError
        else { return context.fireErrorCaught(error) }
        if case .headerOverflow = error {
            end(
                context, .requestHeaderFieldsTooLarge,
                "the request's head has more than \(limits.headerBytes) bytes")
        } else {
            end(context, .badRequest, "that is no HTTP request: \(error)")
        }
    }

    /// Waits for what must come next.
    private func wait(_ context: ChannelHandlerContext, _ time: Duration) {
        timer?.cancel()
        let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let began = NIODeadline.now()
        timer = context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            box.value.0.overdue(box.value.1, since: began)
        }
    }

    private func overdue(_ context: ChannelHandlerContext, since began: NIODeadline) {
        switch phase {
        case .over, .answer: return
        case .head:
            phase = .over
            context.close(promise: nil)
        case .body:
            let allowed = TimeAmount(limits.request) + .seconds(Int64(bodyBytes / Self.bytesOfASecond))
            let left = isStopping ? .nanoseconds(0) : began + allowed - .now()
            guard left > .nanoseconds(0) else {
                // A second answer would be taken for that of the next request.
                if isAnswered {
                    phase = .over
                    context.close(promise: nil)
                    return
                }
                guard !isStopping else {
                    return end(
                        context, .serviceUnavailable, "the manager stops: send the request again when it is back")
                }
                return end(
                    context, .requestTimeout, "the request's body did not come in time: send it faster, or in parts")
            }
            let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            timer = context.eventLoop.scheduleTask(in: left) { box.value.0.overdue(box.value.1, since: began) }
        }
    }

    /// Answers with problem details and closes.
    private func end(_ context: ChannelHandlerContext, _ status: HTTPResponse.Status, _ detail: String) {
        phase = .over
        timer?.cancel()
        let problem = Problem(status, detail)
        var fields = problem.fields
        let body = problem.body
        fields[.contentLength] = "\(body.count)"
        fields[.connection] = "close"
        context.write(wrapOutboundOut(.head(HTTPResponse(status: status, headerFields: fields))), promise: nil)
        context.write(wrapOutboundOut(.body(ByteBuffer(bytes: body))), promise: nil)
        let box = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in box.value.close(promise: nil) }
    }
}
