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
        @Sendable (CommandProcessor, String, Body, String) throws(Rejection) ->
        CommandProcessor.Decided<
            CommandProcessor.Reported
        >

    private func report(
        _ request: Request, _ context: ManagerContext, _ decide: Decide
    ) async throws -> Response {
        let processor = try set.ready().processor
        let id = try RouteSet.id(context)
        var request = request
        let body = try Body(try await BodyRules.bytes(&request, context))
        let actor = RouteSet.actor(request, context)
        let reported = try await processor.settled { () throws(Rejection) in try decide(processor, id, body, actor) }
        if let refused = reported.ignored { throw refused }
        if let row = reported.row {
            await withCheckedContinuation { continuation in processor.results.write(row) { continuation.resume() } }
        }
        if reported.isDuplicate { return JSONAnswer.json(Array("{\"duplicate\":true}".utf8)) }
        return JSONAnswer.json(Array((reported.isLate ? "{\"ok\":true,\"late\":true}" : "{\"ok\":true}").utf8))
    }

    private func heartbeat(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let processor = try set.ready().processor
        let id = try RouteSet.id(context)
        var request = request
        let body = try Body(try await BodyRules.bytes(&request, context))
        let beat = processor.heartbeat(worker: body.speaker.worker, [(id, body.speaker.attempt)])
        if let progress = body.progress, let attempt = body.speaker.attempt {
            processor.noteProgress(AttemptReference(task: id, attempt: attempt), progress)
        }
        await processor.publisher.durable(beat.position)
        let isToStop = try beat.answer.first?.get() ?? false
        return JSONAnswer.json(Array("{\"cancel\":\(isToStop)}".utf8))
    }

    /// A report's body.
    private struct Body: Sendable {
        var speaker = ManagerState.Speaker(worker: nil)
        var result: [UInt8]?
        var error: String?
        var progress: Double?
        var provenance = Event.Provenance()

        init(_ bytes: [UInt8]) throws {
            var body = Body()
            try BodyRules.object(bytes) { key, reader throws(JSONError) in try body.take(key, &reader) }
            guard body.speaker.worker != nil else { throw Problem(.badRequest, "worker is missing: who speaks") }
            guard body.speaker.attempt != nil else {
                throw Problem(.badRequest, "attempt is missing: the number that came with the task")
            }
            self = body
        }

        private init() {}

        private mutating func take(_ key: String, _ reader: inout JSONReader) throws(JSONError) {
            switch key {
            case "worker": speaker.worker = try reader.string()
            case "attempt":
                guard let attempt = UInt32(exactly: try reader.integer()) else {
                    throw JSONError("attempt is out of range", offset: reader.at)
                }
                speaker.attempt = attempt
            case "result":
                if reader.takeNull() { return }
                guard try reader.kind() == .object else {
                    throw JSONError("result must be an object", offset: reader.at)
                }
                var raw: [UInt8] = []
                try reader.compact(into: &raw)
                result = raw
            case "error": error = try reader.string()
            case "progress": progress = reader.takeNull() ? nil : try reader.double()
            case "host": provenance.host = reader.takeNull() ? nil : try reader.string()
            case "program": provenance.program = reader.takeNull() ? nil : try reader.string()
            case "exit_code": provenance.exitCode = reader.takeNull() ? nil : try reader.integer()
            case "signal": provenance.signal = reader.takeNull() ? nil : try reader.integer()
            case "duration_s": provenance.durationSeconds = reader.takeNull() ? nil : try reader.double()
            case "max_rss_bytes": provenance.maxRSSBytes = reader.takeNull() ? nil : try reader.integer()
            default: try reader.skip()
            }
        }
    }
}
