import EventLog
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes
import Projections
import ServiceLifecycle
import Synchronization

/// `POST /claims`: tasks for a worker, at once or within `wait_s`.
///
/// A client that leaves while it waits is assigned nothing; one that leaves before its answer is out gives its tasks back.
struct ClaimRoutes: Sendable {
    /// The most claims that wait at once.
    private static let mostWaiting = 10_000

    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.post("/api/v1/claims") { request, context in try await claim(request, context) }
    }

    private func claim(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let processor = try set.ready().processor
        var request = request
        let key = try Self.key(request)
        let wanted = try ClaimBody(try await BodyRules.bytes(&request, context), key: key)
        let left = LeavingNote()
        let actor = RouteSet.actor(request, context)
        let claimed = try await processor.settled { () throws(Rejection) in
            let claim = try processor.claim(wanted.request, actor: actor)
            guard case .tasks(let tasks, let position) = claim else {
                return CommandProcessor.Decided(answer: [ManagerState.ClaimedTask](), position: .zero)
            }
            return CommandProcessor.Decided(answer: tasks, position: position)
        }
        let worker = wanted.request.worker
        guard claimed.isEmpty, wanted.waitSeconds > 0 else {
            return answer(HandedOut(claimed, to: worker, processor, actor), context.channel, keepsConnection: true)
        }
        guard processor.waitingClaims < Self.mostWaiting else {
            throw Problem(.tooManyRequests, "\(Self.mostWaiting) claims wait already; try again in a second")
        }
        let found = try await request.body.consumeWithInboundCloseHandler { _ in
            try await withGracefulShutdownHandler {
                try await wait(wanted, left, processor, actor)
            } onGracefulShutdown: {
                left.open()
            }
        } onInboundClosed: {
            left.open()
        }
        return answer(HandedOut(found, to: worker, processor, actor), context.channel, keepsConnection: false)
    }

    /// What the claim is called; nil where it has no name. Throws 400 for what is no key.
    private static func key(_ request: Request) throws -> String? {
        guard let name = HTTPField.Name("Idempotency-Key"), let key = request.headers[name] else { return nil }
        guard (1...ManagerState.mostClaimKeyBytes).contains(key.utf8.count),
            key.utf8.allSatisfy({ (32...126).contains($0) })
        else {
            throw Problem(
                .badRequest,
                "Idempotency-Key has 1 to \(ManagerState.mostClaimKeyBytes) printable ASCII characters, such as a UUID")
        }
        return key
    }

    /// Waits for tasks until the time is up or the client has left.
    private func wait(
        _ wanted: ClaimBody, _ left: LeavingNote, _ processor: CommandProcessor, _ actor: String
    ) async throws(Rejection) -> [ManagerState.ClaimedTask] {
        let (answers, found) = AsyncStream<(tasks: [ManagerState.ClaimedTask], position: LogPosition)>.makeStream()
        let claim = try processor.claim(wanted.request, actor: actor, waits: { found.yield(($0, $1)) })
        guard case .waiting(let id) = claim else {
            guard case .tasks(let tasks, let position) = claim else { return [] }
            await processor.publisher.durable(position)
            return tasks
        }
        let stop: @Sendable () -> Void = {
            let stopped = processor.stopWaiting(id)
            if stopped.wasWaiting { found.yield(([], stopped.position)) }
        }
        left.whenOpen(stop)
        let timer = Task {
            // A cancelled sleep means that the answer is there.
            do { try await Task.sleep(for: .seconds(wanted.waitSeconds)) } catch { return }
            stop()
        }
        // Not ended by cancellation: what was assigned must be seen, to be given back.
        let answer = await Task {
            for await answer in answers { return answer }
            return (tasks: [], position: LogPosition.zero)
        }.value
        timer.cancel()
        await processor.publisher.durable(answer.position)
        if left.isOpen, !answer.tasks.isEmpty {
            processor.giveBack(answer.tasks, worker: wanted.request.worker, actor: actor)
            return []
        }
        return answer.tasks
    }

    private func answer(_ handed: HandedOut, _ channel: any Channel, keepsConnection: Bool) -> Response {
        // Watching for the client's leaving uses the connection up.
        var headers: HTTPFields = keepsConnection ? [:] : [.connection: "close"]
        guard !handed.tasks.isEmpty else { return Response(status: .noContent, headers: headers) }
        headers[.contentType] = "application/json"
        let buffer = ByteBuffer(bytes: Self.json(handed.tasks))
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody(contentLength: buffer.readableBytes) { writer in
                try await writer.write(buffer)
                // The writer only hands on to the connection. What is written behind it is out when it is.
                try await channel.writeAndFlush(HTTPResponsePart.body(ByteBuffer()))
                handed.isOut()
                try await writer.finish(nil)
            })
    }

    /// The body of an answer with tasks.
    static func json(_ tasks: [ManagerState.ClaimedTask]) -> [UInt8] {
        var out = Array("{\"tasks\":[".utf8)
        for (index, task) in tasks.enumerated() {
            if index > 0 { out.append(44) }
            WorkerAnswer.appendTask(task, to: &out)
        }
        out.append(contentsOf: "]}".utf8)
        return out
    }
}

extension CommandProcessor {
    /// How many claims wait.
    var waitingClaims: Int { core.withLock { $0.waiters.count } }
}
