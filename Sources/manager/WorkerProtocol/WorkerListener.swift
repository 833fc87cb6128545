import NIOCore
import NIOPosix

/// Listens on the workers' port. Connections wait in the kernel until `start`.
final class WorkerListener: Sendable {
    private let group: MultiThreadedEventLoopGroup
    private let channel: any Channel
    private let ready: NIOLockedBox<CommandProcessor?>
    /// Connections that are open.
    let connections: ConnectionCount
    /// Where it listens, as `127.0.0.1:5000`.
    let address: String

    /// Binds the port. Throws where it is in use or the address is not ours.
    init(
        _ endpoint: Endpoint, security: ServerSecurity, limits: ServerLimits,
        warn: @escaping @Sendable (String) -> Void
    ) async throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let ready = NIOLockedBox<CommandProcessor?>(nil)
        self.ready = ready
        let connections = ConnectionCount(most: limits.connections)
        self.connections = connections
        let loops = NIOLockedBox<NIOLoopBound<WorkerLoop>?>(nil)
        do {
            channel = try await ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.autoRead, value: false)
                .childChannelOption(.allowRemoteHalfClosure, value: true)
                .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        guard let processor = ready.value else { throw ChannelError.eof }
                        let loop: WorkerLoop
                        // The first processor may be one that only reads, until the journal can be written.
                        if let known = loops.value, known.value.processor === processor {
                            loop = known.value
                        } else {
                            loop = WorkerLoop(channel.eventLoop, processor)
                            loops.value = NIOLoopBound(loop, eventLoop: channel.eventLoop)
                        }
                        let door = WorkerDoor(security, peer: channel.remoteAddress?.ipAddress)
                        let pipeline = channel.pipeline.syncOperations
                        if let tls = security.tls {
                            try pipeline.addHandler(TLSChoice(tls, allowsPlain: door.takesOldForm))
                        }
                        try pipeline.addHandler(WorkerConnection(loop, door: door, connections, warn: warn))
                    }
                }
                .bind(host: endpoint.host, port: endpoint.port).get()
        } catch {
            try await group.shutdownGracefully()
            throw error
        }
        address = Endpoint(channel.localAddress).map(\.description) ?? endpoint.description
    }

    /// Begins to accept connections; called again, later connections speak to another processor.
    func start(_ processor: CommandProcessor) async throws {
        ready.value = processor
        try await channel.setOption(.autoRead, value: true).get()
        channel.read()
    }

    /// Closes the port and all connections.
    func stop() async throws {
        try await group.shutdownGracefully()
    }
}
