import EventLog
import HTTPTypes
import Hummingbird
import Projections

/// What operators do: `/tasks/{id}/cancel` and the like for one task, `/operations` for many.
struct OperationRoutes: Sendable {
    let set: RouteSet

    func add(to router: RouteSet.Routes) {
        for operation in ManagerState.Operation.allCases {
            router.post("/api/v1/tasks/{id}/\(operation.rawValue)") { request, context in
                try await one(operation, request, context)
            }
        }
        router.post("/api/v1/operations") { request, context in try await many(request, context) }
        router.post("/api/v1/workers/{id}/release") { request, context in try await release(request, context) }
    }

    private func one(
        _ operation: ManagerState.Operation, _ request: Request, _ context: ManagerContext
    ) async throws -> Response {
        let processor = try set.ready().processor
        let id = try RouteSet.id(context)
        var request = request
        let body = try await BodyRules.bytes(&request, context, mayBeEmpty: operation != .priority)
        var priority: Int64?
        if !body.isEmpty || operation == .priority {
            try BodyRules.object(body) { key, reader throws(JSONError) in
                if key == "priority" { priority = try reader.integer() } else { try reader.skip() }
            }
        }
        if operation == .priority, priority == nil {
            throw Problem(.badRequest, "priority is missing: a whole number, higher is claimed first")
        }
        let (actor, number) = (RouteSet.actor(request, context), Int(priority ?? 0))
        _ = try await processor.settled { () throws(Rejection) in
            try processor.operate(operation, on: .ids([id]), priority: number, actor: actor)
        }
        return JSONAnswer.json(try await TaskAnswer.task(id, processor))
    }

    /// Gives a worker work again that had failed too often in a row.
    private func release(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let processor = try set.ready().processor
        let worker = try RouteSet.id(context)
        var request = request
        _ = try await BodyRules.bytes(&request, context, mayBeEmpty: true)
        let actor = RouteSet.actor(request, context)
        let released = try await processor.settled { () throws(Rejection) in
            try processor.releaseWorker(worker, actor: actor)
        }
        return JSONAnswer.json(Array("{\"released\":\(released)}".utf8))
    }

    private func many(_ request: Request, _ context: ManagerContext) async throws -> Response {
        let processor = try set.ready().processor
        var request = request
        let wanted = try OperationRequest(try await BodyRules.bytes(&request, context))
        if case .ids(let ids) = wanted.target { try RouteSet.bound(ids.count, "ids", context) }
        let actor = RouteSet.actor(request, context)
        let count = try await processor.settled { () throws(Rejection) in
            try processor.operate(
                wanted.operation, on: wanted.target, priority: wanted.priority, isDryRun: wanted.isDryRun,
                actor: actor)
        }
        return JSONAnswer.json(Array("{\"count\":\(count)}".utf8))
    }
}

/// An operation on several tasks, as it is asked for: `{verb, ids | phase | status, priority?, dry_run?}`.
struct OperationRequest: Sendable, Equatable {
    var operation: ManagerState.Operation
    var target: ManagerState.OperationTarget
    var priority = 0
    var isDryRun = false

    init(_ operation: ManagerState.Operation, on target: ManagerState.OperationTarget) {
        self.operation = operation
        self.target = target
    }

    /// Reads a body. Throws `JSONError`, or `Problem` for what makes no sense.
    init(_ bytes: [UInt8]) throws {
        var verb: String?
        var ids: [String]?
        var filter = TaskFilter()
        var statuses: [String]?
        var priority: Int64?
        var isDryRun = false
        try BodyRules.object(bytes) { key, reader throws(JSONError) in
            switch key {
            case "verb": verb = try reader.string()
            case "ids": ids = reader.takeNull() ? nil : try reader.strings()
            case "phase": filter.phase = reader.takeNull() ? nil : try reader.string()
            case "status":
                if reader.takeNull() { return }
                statuses = try reader.kind() == .array ? try reader.strings() : [try reader.string()]
            case "worker": filter.worker = reader.takeNull() ? nil : try reader.string()
            case "priority": priority = try reader.integer()
            case "dry_run": isDryRun = try reader.bool()
            default: try reader.skip()
            }
        }
        guard let verb, let operation = ManagerState.Operation(rawValue: verb) else {
            let verbs = ManagerState.Operation.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem(.badRequest, "verb \(verb.map { "'\($0)' is none" } ?? "is missing"): \(verbs)")
        }
        for word in statuses ?? [] {
            guard let status = TaskStatus(word: word) else {
                throw Problem(.badRequest, "status '\(word)' is none: \(TaskStatus.words)")
            }
            filter.statuses.insert(status)
        }
        let isFilter = filter.phase != nil || filter.worker != nil || !(statuses ?? []).isEmpty
        switch (ids, isFilter) {
        case (.some(let ids), false): target = .ids(ids)
        case (nil, true): target = .matching(filter)
        case (.some, true): throw Problem(.badRequest, "give ids, or phase and status, not both")
        case (nil, false): throw Problem(.badRequest, "name the tasks: ids, phase or status")
        }
        if operation == .priority, priority == nil { throw Problem(.badRequest, "priority is missing") }
        self.operation = operation
        self.priority = Int(priority ?? 0)
        self.isDryRun = isDryRun
    }

    /// The body that asks for it.
    func body() -> [UInt8] {
        var out = Array("{\"verb\":\"\(operation.rawValue)\"".utf8)
        switch target {
        case .ids(let ids):
            out.append(contentsOf: ",\"ids\":".utf8)
            appendJSONStrings(ids, to: &out)
        case .matching(let filter):
            for (name, value) in [("phase", filter.phase), ("worker", filter.worker)] {
                guard let value else { continue }
                out.append(contentsOf: ",\"\(name)\":".utf8)
                appendJSONString(value, to: &out)
            }
            if !filter.statuses.isEmpty {
                out.append(contentsOf: ",\"status\":".utf8)
                appendJSONStrings(TaskStatus.allCases.filter(filter.statuses.contains).map(\.word), to: &out)
            }
        }
        if operation == .priority { out.append(contentsOf: ",\"priority\":\(priority)".utf8) }
        if isDryRun { out.append(contentsOf: ",\"dry_run\":true".utf8) }
        return out + [125]
    }
}
