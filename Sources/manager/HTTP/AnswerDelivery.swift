import NIOCore

/// Sees that answers get out of one connection: whoever closes it waits for what is written, and a client is closed on that
/// takes nothing for `limits.request`. A large answer over a slow line may take as long as it needs, unless the manager stops.
/// Lives on its event loop.
final class AnswerDelivery: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = IOData

    private let limits: ServerLimits
    private var check: Scheduled<Void>?
    private var isClosing = false
    private var isStopping = false

    init(_ limits: ServerLimits) { self.limits = limits }

    func channelInactive(context: ChannelHandlerContext) {
        check?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ChannelShouldQuiesceEvent, !isStopping {
            isStopping = true
            check?.cancel()
            check = nil
            watch(context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if !context.channel.isWritable { watch(context) } else if !isClosing { rest() }
        context.fireChannelWritabilityChanged()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode != .input, unsent(context) > 0 else { return context.close(mode: mode, promise: promise) }
        isClosing = true
        watch(context)
        // What is written last goes out last.
        let isOut = context.eventLoop.makePromise(of: Void.self)
        let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        isOut.futureResult.whenComplete { _ in
            let (handler, context) = box.value
            handler.isClosing = false
            handler.rest()
            context.close(mode: mode, promise: promise)
        }
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: isOut)
    }

    /// Looks again and again whether the client has taken something, or all when the manager stops; where not, closes.
    private func watch(_ context: ChannelHandlerContext) {
        guard check == nil else { return }
        let box = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let before = unsent(context)
        let patience = isStopping ? min(limits.request, limits.stop) : limits.request
        check = context.eventLoop.scheduleTask(in: TimeAmount(patience)) {
            let (handler, context) = box.value
            handler.check = nil
            let now = handler.unsent(context)
            guard handler.isStopping ? now == 0 : now < before else { return context.close(promise: nil) }
            handler.watch(context)
        }
    }

    private func rest() {
        guard !isStopping else { return }
        check?.cancel()
        check = nil
    }

    /// Bytes that wait for the client, beside those that the system holds for it (see `PlainDoor`).
    private func unsent(_ context: ChannelHandlerContext) -> Int {
        do { return try context.channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 } catch {
            return 0  // the channel is closed: nothing waits any more
        }
    }
}
