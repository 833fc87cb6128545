import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// What workers report of their attempts: `/tasks/{id}/complete`, `/fail`, `/heartbeat`, `/return`.
struct ReportRoutes: Sendable {
    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.post("/api/v1/tasks/{id}/complete") { request, context in
            try await report(request, context) { processor, id, body, actor throws(Rejection) in
                try processor.complete(
                    id, by: body.speaker, result: body.result, actor: actor, provenance: body.provenance)
            }
        }
        router.post("/api/v1/tasks/{id}/fail") { request, context in
            try await report(request, context) { processor, id, body, actor throws(Rejection) in
                guard let error = body.error else { throw Rejection(.invalid, "error is missing: a text") }
                return try processor.fail(
                    id, by: body.speaker, error: error, actor: actor, provenance: body.provenance)
            }
        }
        router.post("/api/v1/tasks/{id}/return") { request, context in
            try await report(request, context) { processor, id, body, actor throws(Rejection) in
                try processor.takeBack(id, by: body.speaker, actor: actor)
            }
        }
        router.post("/api/v1/tasks/{id}/heartbeat") { request, context in try await heartbeat(request, context) }
    }

    private typealias Decide =
        @Sendable (CommandProcessor, String, ReportBody, String) throws(Rejection) ->
        CommandProcessor.Decided<
            CommandProcessor.Reported
        >

    private func report(
        _ request: Request, _ context: ManagerContext, _ decide: Decide
    ) async throws -> Response {
        let processor = try set.ready().processor
        let id = try RouteSet.id(context)
        var request = request
        let body = try ReportBody(try await BodyRules.bytes(&request, context))
        let actor = RouteSet.actor(request, context)
        let reported = try await processor.settled { () throws(Rejection) in try decide(processor, id, body, actor) }
        if let refused = reported.ignored { throw refused }
        if let row = reported.row {
            await withCheckedContinuation { continuation in processor.results.write(row) { continuation.resume() } }
        }
        return JSONAnswer.json(Self.json(reported))
    }

    /// The body of the answer to a report that was taken.
    static func json(_ reported: CommandProcessor.Reported) -> [UInt8] {
        if reported.isDuplicate { return Array("{\"duplicate\":true}".utf8) }
        return Array((reported.isLate ? "{\"ok\":true,\"late\":true}" : "{\"ok\":true}").utf8)
    }

    /// The body of the answer to a heartbeat.
    static func json(isToStop: Bool) -> [UInt8] { Array("{\"cancel\":\(isToStop)}".utf8) }

    private func heartbeat(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let processor = try set.ready().processor
        let id = try RouteSet.id(context)
        var request = request
        let body = try ReportBody(try await BodyRules.bytes(&request, context))
        let isToStop: Bool
        do throws(Rejection) {
            let beat = try body.beat(id, processor)
            await processor.publisher.durable(beat.position)
            isToStop = beat.isToStop
        } catch {
            await processor.publisher.durable(processor.read { _ in }.position)
            throw error
        }
        return JSONAnswer.json(Self.json(isToStop: isToStop))
    }
}
