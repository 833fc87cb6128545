import NIOCore
import NIOSSL

/// The first bytes of a connection decide: a TLS greeting is answered in TLS; plain bytes are taken only where they may be.
///
/// Existing workers know no TLS: on this machine they connect as ever. Nobody else sends anything readable.
final class TLSChoice: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The first byte of every TLS record of a handshake (RFC 8446, section 5.1).
    private static let handshake: UInt8 = 0x16

    private let tls: TLSStore
    private let allowsPlain: Bool

    init(_ tls: TLSStore, allowsPlain: Bool) {
        self.tls = tls
        self.allowsPlain = allowsPlain
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        guard let first = buffer.getInteger(at: buffer.readerIndex, as: UInt8.self) else { return }
        let pipeline = context.pipeline.syncOperations
        if first == Self.handshake {
            do {
                try pipeline.addHandler(NIOSSLServerHandler(context: tls.context), position: .after(self))
            } catch { return context.close(promise: nil) }
        } else if !allowsPlain {
            var answer = context.channel.allocator.buffer(capacity: 128)
            answer.writeBytes(WorkerAnswer.error("this port speaks TLS: connect with tls:// or https://"))
            answer.writeInteger(UInt8(10))
            let box = NIOLoopBound(context, eventLoop: context.eventLoop)
            context.writeAndFlush(wrapOutboundOut(answer)).whenComplete { _ in box.value.close(promise: nil) }
            return
        }
        context.fireChannelRead(data)
        // What was decided stands: the next bytes go straight on.
        pipeline.removeHandler(self, promise: nil)
    }
}
