import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1

/// A plain HTTP/1.1 channel with `AnswerDelivery` before it and `ConnectionWishes` behind its decoder.
struct PlainDoor: ServerChildChannel {
    /// What the system may hold of an answer without having sent it. Left to itself it would take some megabytes and ask for
    /// more only when a third of them is gone: a client on a slow line would seem to take nothing for minutes.
    private static let unsentBytes: SocketOptionValue = 128 << 10

    let base: HTTP1Channel
    let limits: ServerLimits

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<HTTP1Channel.Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.syncOptions?.setOption(
                .tcpOption(.init(rawValue: TCP_NOTSENT_LOWAT)), value: Self.unsentBytes)
            try channel.pipeline.syncOperations.addHandler(AnswerDelivery(limits))
        }.flatMap { base.setup(channel: channel, logger: logger) }.flatMapThrowing { value in
            let pipeline = channel.pipeline.syncOperations
            let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
            try pipeline.addHandler(ConnectionWishes(), position: .after(decoder))
            return value
        }
    }

    func handle(value: HTTP1Channel.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
