import EventLog
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Projections
import ServiceLifecycle
import Synchronization

/// The HTTP side of the manager: liveness from the first moment, everything else once the state is loaded.
final class HTTPService: Sendable {
    /// What the routes work on, once it is there.
    struct Loaded: Sendable {
        let processor: CommandProcessor
        let snapshots: SnapshotService
        let workerAddress: String?
        let data: DataDirectory
        let feed: EventFeed
    }

    private let endpoint: Endpoint
    private let data: DataDirectory
    private let logger: Logger
    private let loaded = Mutex<Loaded?>(nil)
    private let running = Mutex<(group: ServiceGroup, task: Task<Void, any Error>)?>(nil)

    init(_ endpoint: Endpoint, data: DataDirectory, logger: Logger) {
        self.endpoint = endpoint
        self.data = data
        self.logger = logger
    }

    /// Begins to listen; returns the address. Throws where the port cannot be bound.
    func start() async throws -> String {
        let (addresses, found) = AsyncStream<String>.makeStream()
        var quiet = logger
        quiet.logLevel = .error
        let app = Application(
            router: router(),
            server: .http1(configuration: .init(additionalChannelHandlers: [ContinueHandler()])),
            configuration: .init(address: .hostname(endpoint.host, port: endpoint.port)),
            onServerRunning: { channel in
                found.yield(Endpoint(channel.localAddress).map(\.description) ?? "")
            }, logger: quiet)
        let group = ServiceGroup(services: [app], logger: quiet)
        let task = Task {
            defer { found.finish() }
            try await group.run()
        }
        running.withLock { $0 = (group, task) }
        for await address in addresses { return address }
        try await task.value
        throw StartFailure("the HTTP server ended at once")
    }

    /// Opens the routes that need the state.
    func open(_ processor: CommandProcessor, _ snapshots: SnapshotService, workerAddress: String?) {
        let parts = Loaded(
            processor: processor, snapshots: snapshots, workerAddress: workerAddress, data: data,
            feed: EventFeed(processor))
        loaded.withLock { $0 = parts }
    }

    /// Lets running requests end and closes the port.
    func stop() async {
        guard let running = running.withLock({ $0 }) else { return }
        await running.group.triggerGracefulShutdown()
        do { try await running.task.value } catch { logger.debug("the HTTP server ended with \(error)") }
    }

    private func router() -> Router<BasicRequestContext> {
        let router = Router(options: .autoGenerateHeadEndpoints)
        let methods = MethodGate<BasicRequestContext>()
        router.add(middleware: Gatekeeper(listen: endpoint))
        router.add(middleware: methods)
        router.add(middleware: ReadOnlyGate { [self] in loaded.withLock { $0?.processor.readOnly } })
        router.get("/healthz") { _, _ in JSONAnswer.text("ok\n") }
        router.get("/readyz") { [self] _, _ in
            _ = try ready()
            return JSONAnswer.text("ready\n")
        }
        let set = RouteSet { [self] in try ready() }
        MomentRoutes(set: set).add(to: router)
        set.add(to: router)
        router.post("/api/v1/snapshot") { [self] _, _ in
            let loaded = try ready()
            let written = try await onThread(named: "snapshot") { Result { try loaded.snapshots.write() } }.get()
            guard let written else { throw Problem(.serviceUnavailable, "result rows are still owed; try again") }
            return JSONAnswer.json(Array("{\"seq\":\(written.position),\"tasks\":\(written.tasks)}".utf8))
        }
        DataRoutes.add(to: router, data: data) { [self] in try ready() }
        methods.learn(router.routes.map { ("\($0.path)", $0.method) })
        return router
    }

    private func ready() throws -> Loaded {
        guard let loaded = loaded.withLock({ $0 }) else {
            throw Problem(.serviceUnavailable, "the journal is still being replayed; try again in a second")
        }
        return loaded
    }
}

extension CommandProcessor {
    /// When each worker was last heard of by a heartbeat, in this run.
    var heartbeats: [String: LogTime] { core.withLock { $0.heartbeats } }
}
