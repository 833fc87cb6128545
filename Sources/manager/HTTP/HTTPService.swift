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
        let router = Router()
        router.add(middleware: Gatekeeper(listen: endpoint))
        router.add(middleware: ReadOnlyGate { [self] in loaded.withLock { $0?.processor.readOnly } })
        router.get("/healthz") { _, _ in JSONAnswer.text("ok\n") }
        router.get("/readyz") { [self] _, _ in
            _ = try ready()
            return JSONAnswer.text("ready\n")
        }
        router.get("/api/v1/status") { [self] _, _ in
            let loaded = try ready()
            let read = loaded.processor.read { $0 }
            await loaded.processor.publisher.durable(read.position)
            return JSONAnswer.json(
                StatusJSON.bytes(read.answer, now: LogTime.now(), workerAddress: loaded.workerAddress))
        }
        router.get("/api/v1/workers") { [self] _, _ in
            let loaded = try ready()
            let read = loaded.processor.read { $0 }
            await loaded.processor.publisher.durable(read.position)
            return JSONAnswer.json(StatusJSON.workers(read.answer, live: loaded.processor.live))
        }
        RouteSet { [self] in try ready() }.add(to: router)
        router.get("/api/v1/state") { [self] request, _ in try await state(request) }
        router.post("/api/v1/snapshot") { [self] _, _ in
            let loaded = try ready()
            let written = try await onThread(named: "snapshot") { Result { try loaded.snapshots.write() } }.get()
            guard let written else { throw Problem(.serviceUnavailable, "result rows are still owed; try again") }
            return JSONAnswer.json(Array("{\"seq\":\(written.position),\"tasks\":\(written.tasks)}".utf8))
        }
        DataRoutes.add(to: router, data: data) { [self] in try ready() }
        return router
    }

    private func ready() throws -> Loaded {
        guard let loaded = loaded.withLock({ $0 }) else {
            throw Problem(.serviceUnavailable, "the journal is still being replayed; try again in a second")
        }
        return loaded
    }

    /// The state now, or at `?at=TIME` or `?seq=N`.
    private func state(_ request: Request) async throws -> Response {
        let loaded = try ready()
        let query = request.uri.queryParameters
        let moment: Moment
        moment = try MomentText.moment(at: query["at"].map(String.init), seq: query["seq"].map(String.init))
        let read = loaded.processor.read { $0 }
        await loaded.processor.publisher.durable(read.position)
        switch moment {
        case .now: return JSONAnswer.json(StateEncoder.bytes(read.answer))
        case .position(let position) where position >= read.position:
            return JSONAnswer.json(StateEncoder.bytes(read.answer))
        case .time(let time) where read.answer.time.map { time >= $0 } ?? true:
            return JSONAnswer.json(StateEncoder.bytes(read.answer))
        default: break
        }
        let journal = data.journal
        let outcome = try await onThread(named: "replay") {
            Result { try Replay.state(at: moment, in: journal) }
        }.get()
        return JSONAnswer.json(StateEncoder.bytes(outcome.state))
    }
}
