import HummingbirdCore
import Logging
import NIOCore
import NIOSSL

/// Puts TLS before HTTP on each new connection, with the certificate that is in use at that moment.
struct TLSDoor<Base: ServerChildChannel>: ServerChildChannel {
    let base: Base
    let tls: TLSStore

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Base.Value> {
        channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
        }.flatMap { base.setup(channel: channel, logger: logger) }
    }

    func handle(value: Base.Value, logger: Logger) async { await base.handle(value: value, logger: logger) }
}
