import EventLog
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdCore
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
        /// Connections of the workers' port; nil where there is none.
        var workerConnections: ConnectionCount?
        /// Seconds that loading the directory took.
        var loadSeconds = 0.0
        /// The check of the whole journal; nil where there is none.
        var historyCheck: HistoryCheck?
    }

    /// How it is served, besides where.
    struct Options: Sendable {
        var security: ServerSecurity
        var limits = ServerLimits()
        /// Nil: requests are not logged.
        var accessLog: AccessLog?
    }

    /// Connections that are open.
    let connections: ConnectionCount
    /// Answers since the start.
    let requests = RequestCounts()
    private let endpoint: Endpoint
    private let data: DataDirectory
    private let logger: Logger
    private let options: Options
    private let loaded = Mutex<Loaded?>(nil)
    private let running = Mutex<(group: ServiceGroup, task: Task<Void, any Error>)?>(nil)

    init(_ endpoint: Endpoint, data: DataDirectory, options: Options, logger: Logger) {
        self.endpoint = endpoint
        self.data = data
        self.options = options
        self.logger = logger
        connections = ConnectionCount(most: options.limits.connections)
    }

    /// Begins to listen; returns the address. Throws where the port cannot be bound.
    func start() async throws -> String {
        let (addresses, found) = AsyncStream<String>.makeStream()
        var quiet = logger
        quiet.logLevel = .error
        let app = Application(
            responder: router().buildResponder(),
            server: server(),
            configuration: .init(address: .hostname(endpoint.host, port: endpoint.port), backlog: 1024),
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

    /// HTTP/1.1 with our bounds, in TLS where there is a certificate.
    private func server() -> HTTPServerBuilder {
        let limits = options.limits
        let connections = connections
        let desk = QuickDesk(
            gatekeeper: gatekeeper, security: options.security, log: options.accessLog, counts: requests,
            limits: limits, loaded: { [self] in loaded.withLock { $0?.processor } })
        let configuration = HTTP1Channel.Configuration(
            additionalChannelHandlers: [
                ConnectionWatch(limits, connections), ContinueHandler(limits), QuickLane(desk),
            ],
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: limits.headerBytes, maxHeaderListSize: limits.headerBytes))
        let tls = options.security.tls
        return HTTPServerBuilder { responder in
            let http = PlainDoor(
                base: HTTP1Channel(responder: responder, configuration: configuration), limits: limits)
            guard let tls else { return http }
            return TLSDoor(base: http, tls: tls)
        }
    }

    /// Opens the routes that need the state.
    func open(
        _ processor: CommandProcessor, _ snapshots: SnapshotService, listener: WorkerListener?, loadSeconds: Double
    ) {
        let parts = Loaded(
            processor: processor, snapshots: snapshots, workerAddress: listener?.address, data: data,
            feed: EventFeed(processor, data.journal), workerConnections: listener?.connections, loadSeconds: loadSeconds
        )
        loaded.withLock { $0 = parts }
    }

    /// Shows what the check of the whole journal has come to.
    func show(_ check: HistoryCheck) { loaded.withLock { $0?.historyCheck = check } }

    /// Lets running requests end and closes the port.
    func stop() async {
        guard let running = running.withLock({ $0 }) else { return }
        await running.group.triggerGracefulShutdown()
        do { try await running.task.value } catch { logger.debug("the HTTP server ended with \(error)") }
    }

    /// Who may ask, by the names and pages from which it is asked.
    private var gatekeeper: Gatekeeper {
        let security = options.security
        return Gatekeeper(
            listen: endpoint, allowedHosts: security.allowedHosts, scheme: security.tls == nil ? "http" : "https")
    }

    /// All routes behind the doors; also for tests of the description.
    func router() -> Router<ManagerContext> {
        let router = Router(context: ManagerContext.self, options: .autoGenerateHeadEndpoints)
        let methods = MethodGate<ManagerContext>()
        let security = options.security
        router.add(
            middleware: RequestLog(log: options.accessLog, counts: requests, limits: options.limits))
        router.add(middleware: AnswerHeaders())
        router.add(middleware: gatekeeper)
        router.add(middleware: TokenGate(security: security))
        router.add(middleware: GzipAnswer())
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
        AssetRoutes.add(to: router)
        router.get("/metrics") { [self] _, _ in
            let page = MetricsPage(loaded.withLock { $0 }, httpConnections: connections, requests: requests)
            let text = await onThread(named: "metrics") { page.text() }
            return Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4; charset=utf-8"],
                body: .init(byteBuffer: ByteBuffer(string: text)))
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
