import DequeModule
import EventLog
import HTTPTypes
import NIOCore
import NIOHTTPTypes
import Projections

/// Answers the calls that workers make all the time on the connection's own event loop, without a task of their own:
/// claims that need not wait, and reports of attempts.
///
/// Only what goes well is answered here. Whatever is unusual about a request, or is refused, is handed on untouched, and
/// the router decides it anew: a refusal has changed nothing. Requests that are handed on and those that are answered
/// here keep their order. Lives on its event loop.
final class QuickLane: ChannelDuplexHandler, RemovableChannelHandler, LoopConnection {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private enum Held {
        case part(HTTPRequestPart)
        case event(Any)
        case error(any Error)
    }

    var isQueued = false
    private let desk: QuickDesk
    private var guest: QuickGuest?
    private var loop: WorkerLoop?
    private var context: ChannelHandlerContext?
    /// Requests that were handed on and whose answers are not out.
    private var handedOn = 0
    private var request: QuickRequest?
    private var body = ByteBuffer()
    /// What is decided and not out.
    private var answer: QuickAnswer?
    /// What came while an answer was not out.
    private var held: Deque<Held> = []
    private var isReadWanted = false

    init(_ desk: QuickDesk) { self.desk = desk }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    // MARK: - What comes

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard answer == nil, held.isEmpty else { return held.append(.part(unwrapInboundIn(data))) }
        take(unwrapInboundIn(data), context)
    }

    private func take(_ part: HTTPRequestPart, _ context: ChannelHandlerContext) {
        switch part {
        case .head(let head):
            if handedOn == 0, let request = desk.recognise(head) {
                self.request = request
                body.clear()
                return
            }
            handedOn += 1
        case .body(let piece):
            guard request == nil else {
                if body.readableBytes == 0 { body = piece } else { body.writeImmutableBuffer(piece) }
                return
            }
        case .end:
            if let request {
                self.request = nil
                return decide(request, context)
            }
        }
        context.fireChannelRead(wrapInboundOut(part))
    }

    private func decide(_ request: QuickRequest, _ context: ChannelHandlerContext) {
        let guest = guest ?? QuickGuest(context.channel)
        self.guest = guest
        guard let processor = desk.processor(), let actor = desk.actor(of: request, guest),
            let answer = QuickAnswer(to: request, body, processor, actor: actor)
        else { return handOn(request, context) }
        if loop?.processor !== processor { loop = desk.loop(context.eventLoop, processor) }
        self.answer = answer
        loop?.enqueue(self)
    }

    private func handOn(_ request: QuickRequest, _ context: ChannelHandlerContext) {
        handedOn += 1
        context.fireChannelRead(wrapInboundOut(.head(request.head)))
        if body.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(.body(body))) }
        body = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(.end(nil)))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // Who shut its side, or a server that is to stop: what was asked before is answered first.
        guard answer == nil, held.isEmpty else { return held.append(.event(event)) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Its answer must not overtake that of the request before.
        guard answer == nil, held.isEmpty else { return held.append(.error(error)) }
        context.fireErrorCaught(error)
    }

    func read(context: ChannelHandlerContext) {
        if held.isEmpty { context.read() } else { isReadWanted = true }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { handedOn = max(0, handedOn - 1) }
        context.write(data, promise: promise)
    }

    func channelInactive(context: ChannelHandlerContext) {
        // Tasks that it hands out go back by its end.
        answer = nil
        held.removeAll()
        context.fireChannelInactive()
    }

    // MARK: - What leaves

    /// Writes the answer if it may leave; returns the position that it waits for.
    func writeAnswers(durable: LogPosition) -> LogPosition? {
        guard let answer, let context else { return nil }
        guard answer.position <= durable else { return answer.position }
        guard let row = answer.row else {
            write(answer, context)
            return nil
        }
        self.answer?.row = nil
        let (eventLoop, box) = (context.eventLoop, NIOLoopBound(self, eventLoop: context.eventLoop))
        answer.processor.results.write(row) {
            eventLoop.execute {
                let lane = box.value
                if let answer = lane.answer, let context = lane.context { lane.write(answer, context) }
            }
        }
        return nil
    }

    private func write(_ answer: QuickAnswer, _ context: ChannelHandlerContext) {
        self.answer = nil
        context.write(wrapOutboundOut(.head(desk.head(answer))), promise: nil)
        if let body = answer.body { context.write(wrapOutboundOut(.body(body)), promise: nil) }
        let written = answer.handedOut.map { handed in
            let promise = context.eventLoop.makePromise(of: Void.self)
            promise.futureResult.whenSuccess { handed.isOut() }
            return promise
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        desk.note(answer, guest)
        if !held.isEmpty { release(context) }
    }

    /// Goes on with what was held back.
    private func release(_ context: ChannelHandlerContext) {
        var isPassed = false
        while answer == nil, let next = held.popFirst() {
            switch next {
            case .part(let part): take(part, context)
            case .event(let event): context.fireUserInboundEventTriggered(event)
            case .error(let error): context.fireErrorCaught(error)
            }
            isPassed = true
        }
        if isPassed { context.fireChannelReadComplete() }
        if isReadWanted, held.isEmpty {
            isReadWanted = false
            context.read()
        }
    }
}
