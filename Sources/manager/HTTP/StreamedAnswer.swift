import HTTPTypes
import Hummingbird
import NIOCore
import ServiceLifecycle

/// An answer that is written while it is made, and ends early when the client leaves or takes nothing for too long.
enum StreamedAnswer {
    /// How long a client may take nothing before it is cut off; it resumes by position.
    static let patience = Duration.seconds(20)

    /// A client that took nothing for too long.
    private struct TooSlow: Error {}

    /// The token that the request came with was taken away.
    private struct Revoked: Error {}

    /// The one who writes. Proof: it is handed to the one child task that uses it, and nobody else touches it before
    /// that task has ended.
    private struct Handed: @unchecked Sendable {
        var writer: any ResponseBodyWriter
    }

    /// Answers `request` with what `make` emits on a thread of its own. `interrupted` is called when the server is to
    /// stop: `make` should look at the bridge. `ended` is called when all is over.
    static func response(
        to request: Request, headers: HTTPFields, access: Access? = nil,
        _ make: @escaping @Sendable (ChunkBridge) throws -> Void,
        interrupted: @escaping @Sendable () -> Void = {}, ended: @escaping @Sendable () -> Void = {}
    ) -> Response {
        var headers = headers
        headers[.connection] = "close"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                let bridge = ChunkBridge(patience: patience)
                let handed = Handed(writer: writer)
                defer {
                    bridge.abandon()
                    ended()
                }
                bridge.start("http-stream", make)
                try await withGracefulShutdownHandler {
                    try await send(bridge, to: handed, watching: request, access)
                } onGracefulShutdown: {
                    bridge.abandon()
                    interrupted()
                }
            })
    }

    /// Answers `request` with what `body` writes, for as long as the client stays: cancelled when it leaves. `interrupted`
    /// is called when the server is to stop, `ended` when all is over.
    static func followed(
        _ request: Request, headers: HTTPFields, access: Access?,
        _ body: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void,
        interrupted: @escaping @Sendable () -> Void, ended: @escaping @Sendable () -> Void
    ) -> Response {
        var headers = headers
        headers[.connection] = "close"
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { writer in
                let handed = Handed(writer: writer)
                defer { ended() }
                try await withGracefulShutdownHandler {
                    try await request.body.consumeWithCancellationOnInboundClose { _ in
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            group.addTask {
                                var writer = handed.writer
                                try await body(&writer)
                                try await writer.finish(nil)
                            }
                            watch(access, &group)
                            try await group.next()
                            group.cancelAll()
                        }
                    }
                } onGracefulShutdown: {
                    interrupted()
                }
            })
    }

    /// Ends a group when the token is taken away.
    private static func watch(_ access: Access?, _ group: inout ThrowingTaskGroup<Void, any Error>) {
        guard let access else { return }
        group.addTask {
            await access.revoked()
            throw Revoked()
        }
    }

    /// Writes until the end, until the client leaves, or until it took nothing for too long.
    private static func send(
        _ bridge: ChunkBridge, to handed: Handed, watching request: Request, _ access: Access?
    ) async throws {
        try await request.body.consumeWithCancellationOnInboundClose { _ in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await write(bridge, to: handed) }
                group.addTask {
                    for await _ in bridge.overdue {}
                    throw TooSlow()
                }
                watch(access, &group)
                try await group.next()
                group.cancelAll()
            }
        }
    }

    private static func write(_ bridge: ChunkBridge, to handed: Handed) async throws {
        var writer = handed.writer
        for try await chunk in bridge.chunks {
            try await writer.write(ByteBuffer(bytes: chunk))
            bridge.taken()
        }
        try Task.checkCancellation()
        try await writer.finish(nil)
    }
}
