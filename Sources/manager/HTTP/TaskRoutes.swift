import EventLog
import HTTPTypes
import Hummingbird
import NIOCore
import Projections

/// `/tasks` and `/sweeps`: adding and looking.
struct TaskRoutes: Sendable {
    /// Tasks of a page where none is asked for, and at most.
    private enum Page {
        static let usual = 1000
        static let most = 10_000
    }

    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        router.post("/api/v1/tasks") { request, context in try await addTasks(request, context) }
        router.post("/api/v1/sweeps") { request, context in try await addSweep(request, context) }
        router.get("/api/v1/tasks") { request, _ in try await list(request) }
        router.get("/api/v1/tasks/{id}") { request, context in try await one(try RouteSet.id(context), request) }
        router.get("/api/v1/tasks/{id}/history") { request, context in
            try await history(try RouteSet.id(context), request)
        }
    }

    private func addTasks(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let loaded = try set.ready()
        var request = request
        let body = try await BodyRules.bytes(&request, context)
        let specs = try TaskRequest.specs(body)
        try RouteSet.bound(specs.count, "tasks", context)
        let actor = RouteSet.actor(request, context)
        let added = try await loaded.processor.settled { () throws(Rejection) in
            try loaded.processor.add(specs, actor: actor)
        }
        return JSONAnswer.json(Array("{\"added\":\(added.added),\"existing\":\(added.existing)}".utf8))
    }

    private func addSweep(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let loaded = try set.ready()
        var request = request
        let body = try await BodyRules.bytes(&request, context, BodyRules.yaml)
        let sweep = try SweepFile(yaml: body, name: RouteSet.text(request, "name") ?? "the body")
        do throws(VerbFailure) { try SweepCommandCheck.check(sweep) } catch { throw Problem(.badRequest, error.text) }
        let actor = RouteSet.actor(request, context)
        let loader = SweepLoader(processor: loaded.processor, data: loaded.data)
        let outcome = await onThread(named: "sweep") {
            Result { () throws(Rejection) in try loader.load([sweep], actor: actor) }
        }
        await loaded.processor.publisher.durable(loaded.processor.read { _ in }.position)
        let done = try outcome.get()
        var out = Array(
            "{\"added\":\(done.added),\"existing\":\(done.existing),\"extended\":\(done.extended),\"gone\":\(done.gone)"
                .utf8)
        out.append(contentsOf: done.goneMember)
        out.append(contentsOf: ",\"warnings\":".utf8)
        appendJSONStrings(sweep.warnings.map(\.description), to: &out)
        return JSONAnswer.json(out + [125])
    }

    private func list(_ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        var filter = TaskFilter()
        filter.phase = RouteSet.text(request, "phase")
        filter.worker = RouteSet.text(request, "worker")
        for word in (RouteSet.text(request, "status") ?? "").split(separator: ",") {
            guard let status = TaskStatus(word: String(word)) else {
                throw Problem(.badRequest, "status=\(word) is none: \(TaskStatus.words)")
            }
            filter.statuses.insert(status)
        }
        let limit = try RouteSet.number(request, "limit", 1...Page.most) ?? Page.usual
        let after = RouteSet.text(request, "after")
        let isNewest = try RouteSet.flag(request, "newest")
        if isNewest, after != nil { throw Problem(.badRequest, "give newest or after, not both") }
        let state = try await asked.state()
        let tag = EntityTag.of(state)
        if EntityTag.stands(tag, in: request) { return EntityTag.unchanged(tag) }
        var start = 0
        if let after {
            guard let number = state.taskNumber(after) else {
                throw Problem(.notFound, "after=\(after): there is no such task")
            }
            start = number + 1
        }
        let page =
            isNewest
            ? state.newestEnded(matching: filter, limit: limit)
            : state.tasks(matching: filter, from: start, limit: limit)
        var out = Array("{\"tasks\":[".utf8)
        for (index, number) in page.numbers.enumerated() {
            if index > 0 { out.append(44) }
            state.appendTask(number, to: &out)
        }
        out.append(contentsOf: "],\"next\":".utf8)
        if page.hasMore, let last = page.numbers.last {
            appendJSONString(state.taskID(last), to: &out)
        } else {
            out.append(contentsOf: "null".utf8)
        }
        var response = JSONAnswer.json(out + [125])
        response.headers[.eTag] = tag
        response.headers[.cacheControl] = "private, no-cache"
        return asked.noting(response)
    }

    private func one(_ id: String, _ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        let json: [UInt8]?
        if let live = asked.live {
            json = live.taskJSON(id)
        } else {
            json = try await asked.read("show") { reader, moment throws(JournalError) in
                try reader.taskJSON(id, at: moment)
            }
        }
        guard let json else { throw Problem(.notFound, "there is no task \(id)") }
        return asked.noting(JSONAnswer.json(json))
    }

    private func history(_ id: String, _ request: Request) async throws -> Response {
        let asked = try await AskedMoment(request, set)
        // No task ever goes: one that is not there now never was.
        let isKnown = asked.loaded.processor.read { $0.taskNumber(id) != nil }.answer
        guard isKnown else { throw Problem(.notFound, "there is no task \(id)") }
        let (events, beginning) = try await asked.read("history") { reader, moment throws(JournalError) in
            try reader.taskEvents(id, at: moment)
        }
        guard !events.lines.isEmpty || beginning != nil else { throw Problem(.notFound, "there is no task \(id)") }
        var out = Array("{\"events\":[".utf8)
        for (index, line) in events.lines.enumerated() {
            if index > 0 { out.append(44) }
            out.append(contentsOf: line)
        }
        out.append(93)
        if let beginning {
            let discarded = beginning.history.discardedAt.map { "\"\($0)\"" } ?? "null"
            out.append(contentsOf: ",\"baseline\":{\"seq\":\(beginning.position),\"time\":\"\(beginning.time)\"".utf8)
            out.append(contentsOf: ",\"discarded_at\":\(discarded),\"task\":".utf8)
            out.append(contentsOf: beginning.json + [125])
        }
        return asked.noting(JSONAnswer.json(out + [125]))
    }
}

/// Answers that are one task.
enum TaskAnswer {
    /// The task as it stands, when that is durable. Throws 404.
    static func task(_ id: String, _ processor: CommandProcessor) async throws -> [UInt8] {
        let read = processor.read { $0.taskJSON(id) }
        await processor.publisher.durable(read.position)
        guard let json = read.answer else { throw Problem(.notFound, "there is no task \(id)") }
        return json
    }
}

extension TaskStatus {
    /// All words, for messages.
    static var words: String { allCases.map(\.word).joined(separator: ", ") }
}

extension TaskRequest {
    /// The tasks of a body: one object or an array of them.
    static func specs(_ body: [UInt8]) throws(JSONError) -> [TaskSpec] {
        var specs: [TaskSpec] = []
        var failure: JSONError?
        body.withUnsafeBufferPointer { buffer in
            do throws(JSONError) {
                var reader = JSONReader(buffer)
                specs = try Self.specs(&reader)
                try reader.finish()
            } catch { failure = error }
        }
        if let failure { throw failure }
        return specs
    }
}
