import NIOCore
import NIOHTTP1

/// Says in one form what a request's head may say in several: that its connection ends with the answer, as HTTP/1.0 means
/// it without saying so. A request with several `Host` fields gets one that nobody has. Lives on its event loop.
final class ConnectionWishes: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .head(var head) = unwrapInboundIn(data) else { return context.fireChannelRead(data) }
        // HTTP/1.0 would want its wish to stay confirmed.
        let stays = head.isKeepAlive && head.version == .http1_1
        let isSaid = stays || head.headers.first(name: "connection") == "close"
        var hosts = 0
        for (name, _) in head.headers where name.utf8.count == 4 && name.lowercased() == "host" { hosts += 1 }
        guard !isSaid || hosts > 1 else { return context.fireChannelRead(data) }
        if !isSaid { head.headers.replaceOrAdd(name: "connection", value: "close") }
        if hosts > 1 {
            head.headers.replaceOrAdd(name: "host", value: head.headers["host"].joined(separator: ", "))
        }
        context.fireChannelRead(wrapInboundOut(.head(head)))
    }
}
