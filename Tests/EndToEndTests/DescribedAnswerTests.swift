import Foundation
import TestSupport
import Testing

/// Every answer that the interface's description names is produced, and is as described: `HTTPCaller` compares each.
///
/// 500 is left out: it means a damage of the data or a fault of the program. 507 stands with the full disk.
@Suite("Every described answer is produced", .serialized) struct DescribedAnswerTests {
    private typealias Operation = InterfaceDescription.Operation
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    private func operations(_ status: Int) -> [Operation] {
        InterfaceDescription.shared.operations.filter { $0.responses[String(status)] != nil }
    }

    private func path(_ operation: Operation, id: String = "a") -> String {
        operation.path.replacing("{id}", with: id)
    }

    /// One call of a described operation.
    private func call(
        _ manager: RunningManager, _ operation: Operation, id: String = "a", query: String = "", _ body: String? = nil,
        headers: [String: String] = [:], type: String? = "application/json"
    ) throws -> HTTPCaller.Answer {
        let caller = try HTTPCaller(manager.http)
        let path = path(operation, id: id) + query
        let body = operation.method == "GET" ? nil : body
        caller.send(operation.method, path, body, headers: headers, type: type, under: "")
        return HTTPCaller.described(caller.answer(), operation.method, path)
    }

    private func each(
        _ status: Int, atLeast count: Int, _ produce: (Operation) throws -> HTTPCaller.Answer
    ) throws {
        let all = operations(status)
        #expect(all.count >= count)
        for operation in all {
            let answer = try produce(operation)
            #expect(answer.status == status, "\(operation.id): \(answer.body.prefix(200))")
        }
    }

    @Test func `other names, other pages and heads that are too long are refused everywhere`() throws {
        let manager = try RunningManager(scratch.path, ["--max-header", "2KiB"])
        try each(421, atLeast: 34) { try call(manager, $0, headers: ["Host": "evil.example"]) }
        try each(403, atLeast: 34) { try call(manager, $0, headers: ["Origin": "http://evil.example"]) }
        let long = ["X-Long": String(repeating: "x", count: 4000)]
        try each(431, atLeast: 34) { try call(manager, $0, headers: long) }
    }

    @Test func `bodies that are too large, of another type or too slow are refused wherever one is taken`() throws {
        let manager = try RunningManager(scratch.path, ["--max-body", "2KiB", "--request-timeout", "300ms"])
        let large = String(repeating: " ", count: 3000)
        try each(413, atLeast: 15) { operation in
            try call(
                manager, operation, large, type: operation.id == "addSweep" ? "application/yaml" : "application/json")
        }
        try each(415, atLeast: 15) { try call(manager, $0, "{}", type: "text/plain") }
        try each(408, atLeast: 15) { operation in
            let type = operation.id == "addSweep" ? "application/yaml" : "application/json"
            return try call(manager, operation, "{", headers: ["Content-Length": "100"], type: type)
        }
    }

    @Test func `a request whose body nobody wanted is answered once, and its connection closed`() throws {
        let manager = try RunningManager(scratch.path, ["--request-timeout", "300ms", "--idle-timeout", "300ms"])
        for (method, path) in [("GET", "/healthz"), ("POST", "/api/v1/snapshot")] {
            let caller = try HTTPCaller(manager.http)
            caller.send(method, path, headers: ["Content-Length": "5", "Connection": "keep-alive"], under: "")
            #expect(caller.answer().status == 200)
            // Nothing more comes: a second answer would be taken for that of the next request.
            #expect(caller.answer().status == 0)
            let patient = try HTTPCaller(manager.http)
            patient.send(method, path, headers: ["Content-Length": "5", "Connection": "keep-alive"], under: "")
            #expect(patient.answer().status == 200)
            patient.sendRaw("12345")
            patient.send("GET", "/readyz", under: "")
            #expect(patient.answer().body == "ready\n")
        }
    }

    @Test func `who has no token, or tried too many, is refused wherever a role is needed`() throws {
        let file = scratch.path + "/secrets/tokens"
        #expect(try VerbRun(["token", "create", "--role", "operator", "me", "--tokens", file]).status == 0)
        let manager = try RunningManager(scratch.path + "/d", ["--tokens", file])
        try each(401, atLeast: 28) { try call(manager, $0) }
        for number in 0..<10 {
            let headers = ["Authorization": "Bearer guess\(number)"]
            #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: headers).status == 401)
        }
        try each(429, atLeast: 28) { try call(manager, $0) }
        for operation in InterfaceDescription.shared.operations where operation.role == nil {
            #expect(try call(manager, operation).status == 200, "\(operation.id)")
        }
    }

    @Test func `beyond --max-connections everybody is told so, and places become free`() throws {
        let manager = try RunningManager(scratch.path, ["--max-connections", "2"])
        let held = try (0..<2).map { _ in
            let caller = try HTTPCaller(manager.http)
            caller.send("GET", "/healthz", headers: ["Connection": "keep-alive"], under: "")
            #expect(caller.answer().status == 200)
            return caller
        }
        try each(503, atLeast: 34) { try call(manager, $0) }
        let refused = try HTTPCaller.call(manager.http, "GET", "/status")
        #expect(refused["detail"] as? String == "2 connections are open already; try again in a second")
        #expect(refused.headers["connection"] == "close")
        // Those that are served are not disturbed.
        held[0].send("GET", "/readyz", under: "")
        #expect(held[0].answer().body == "ready\n")
        held[1].shut()
        #expect(try eventuallyBlocking { try HTTPCaller.raw(manager.http, "GET", "/healthz").status == 200 })
    }

    // MARK: - What each call does

    /// How each call comes to an answer, in a directory that `prepared` has made: operation, status, id, query, body.
    private static let makers: [(id: String, status: Int, task: String, query: String, body: String?)] = [
        ("addSweep", 200, "", "", "s:\n  combinations:\n    - a: [1]\n"), ("addSweep", 400, "", "", "s: [\n"),
        ("addTasks", 200, "", "", #"{"task_id":"new","phase":"p","config":{"x":[1,null,"é"]}}"#),
        ("addTasks", 400, "", "", "{"), ("addTasks", 409, "", "", #"{"task_id":"held","phase":"q","config":{}}"#),
        ("holdTask", 200, "pending", "", nil), ("claim", 200, "", "", #"{"worker":"v"}"#),
        ("claim", 400, "", "", #"{"worker":"v","count":0}"#),
        ("completeTask", 200, "run1", "", #"{"worker":"w","attempt":1,"result":{"y":0.5}}"#),
        ("completeTask", 400, "run2", "", "{}"),
        ("completeTask", 404, "nobody", "", #"{"worker":"w","attempt":1}"#),
        ("completeTask", 409, "run2", "", #"{"worker":"w","attempt":9}"#),
        ("failTask", 200, "run2", "", #"{"worker":"w","attempt":1,"error":"boom"}"#),
        ("failTask", 400, "run3", "", "[]"),
        ("failTask", 404, "nobody", "", #"{"worker":"w","attempt":1,"error":"boom"}"#),
        ("failTask", 409, "run3", "", #"{"worker":"x","attempt":1,"error":"boom"}"#),
        ("heartbeat", 200, "run3", "", #"{"worker":"w","attempt":1,"progress":0.5}"#),
        ("heartbeat", 400, "run3", "", ""),
        ("heartbeat", 404, "nobody", "", #"{"worker":"w","attempt":1}"#),
        ("heartbeat", 409, "run3", "", #"{"worker":"w","attempt":2}"#),
        ("returnTask", 200, "run3", "", #"{"worker":"w","attempt":1}"#), ("returnTask", 400, "run3", "", "{"),
        ("returnTask", 404, "nobody", "", #"{"worker":"w","attempt":1}"#),
        ("returnTask", 409, "run3", "", #"{"worker":"w","attempt":1}"#),
        ("holdTask", 400, "pending", "", "{"),
        ("holdTask", 404, "nobody", "", nil),
        ("holdTask", 409, "run1", "", nil), ("releaseTask", 200, "held", "", nil),
        ("releaseTask", 400, "held", "", "["),
        ("releaseTask", 404, "nobody", "", nil), ("releaseTask", 409, "run1", "", nil),
        ("cancelTask", 200, "pending", "", nil), ("cancelTask", 400, "pending", "", "x"),
        ("cancelTask", 404, "nobody", "", nil), ("cancelTask", 409, "run1", "", nil),
        ("retryTask", 200, "pending", "", nil), ("retryTask", 400, "pending", "", "x"),
        ("retryTask", 404, "nobody", "", nil), ("retryTask", 409, "run1", "", nil),
        ("priorityTask", 200, "pending", "", #"{"priority":3}"#), ("priorityTask", 400, "pending", "", "{}"),
        ("priorityTask", 404, "nobody", "", #"{"priority":3}"#),
        ("requeueTask", 200, "run4", "", nil), ("requeueTask", 400, "run4", "", "x"),
        ("requeueTask", 404, "nobody", "", nil), ("requeueTask", 409, "still", "", nil),
        ("operate", 200, "", "", #"{"verb":"priority","phase":"p","priority":1}"#),
        ("operate", 400, "", "", #"{"verb":"priority"}"#),
        ("operate", 404, "", "", #"{"verb":"hold","ids":["nobody"]}"#),
        ("operate", 409, "", "", #"{"verb":"hold","ids":["run1"]}"#), ("releaseWorker", 200, "w", "", nil),
        ("releaseWorker", 400, "%FF", "", nil),
        ("releaseWorker", 404, "nobody", "", nil), ("snapshot", 200, "", "", nil), ("compact", 200, "", "", nil),
        ("listTasks", 200, "", "?limit=2", nil), ("listTasks", 400, "", "?limit=0", nil),
        ("listTasks", 404, "", "?after=nobody", nil), ("getTask", 200, "run2", "", nil),
        ("getTask", 400, "run1", "?at=x", nil),
        ("getTask", 404, "nobody", "", nil), ("taskHistory", 200, "run1", "", nil),
        ("taskHistory", 400, "run1", "?seq=x", nil),
        ("taskHistory", 404, "nobody", "", nil), ("taskLog", 200, "run1", "", nil),
        ("taskLog", 400, "run1", "?tail=x", nil),
        ("taskLog", 404, "run2", "", nil), ("status", 200, "", "", nil), ("status", 400, "", "?at=x", nil),
        ("workers", 200, "", "", nil), ("workers", 400, "", "?seq=x", nil), ("results", 200, "", "?phase=p", nil),
        ("results", 400, "", "?at=x", nil), ("events", 200, "", "?type=completed", nil),
        ("events", 400, "", "?from=x", nil),
        ("state", 200, "", "", nil), ("state", 400, "", "?seq=x", nil), ("backups", 200, "", "", nil),
        ("metrics", 200, "", "", nil), ("alive", 200, "", "", nil), ("ready", 200, "", "", nil),
        ("description", 200, "", "", nil), ("dashboard", 200, "", "", nil), ("dashboardStyle", 200, "", "", nil),
        ("dashboardScript", 200, "", "", nil),
    ]

    private func prepared() throws -> RunningManager {
        let manager = try RunningManager(scratch.path)
        let names = ["run1", "run2", "run3", "run4", "pending", "held", "still"]
        let tasks = names.map { #"{"task_id":"\#($0)","phase":"p","config":{},"max_retries":0}"# }
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]").status == 200)
        let claim = #"{"worker":"w","count":4,"heartbeat_s":60,"gpu":0,"host":"here"}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", claim).status == 200)
        for name in ["held", "still"] {
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/\(name)/hold").status == 200)
        }
        let log = scratch.path + "/results_p/logs"
        try FileManager.default.createDirectory(atPath: log, withIntermediateDirectories: true)
        try "out\n".write(toFile: log + "/run1.1.log", atomically: true, encoding: .utf8)
        return manager
    }

    @Test func `each call answers what it is described to answer`() throws {
        let manager = try prepared()
        var produced: Set<String> = []
        let all = InterfaceDescription.shared.operations
        for maker in Self.makers {
            let operation = try #require(all.first { $0.id == maker.id }, "\(maker.id)")
            let answer = try call(
                manager, operation, id: maker.task, query: maker.query, maker.body,
                type: maker.id == "addSweep" ? "application/yaml" : "application/json")
            #expect(
                answer.status == maker.status, "\(maker.id) \(maker.task)\(maker.query): \(answer.body.prefix(300))")
            produced.insert("\(maker.id) \(answer.status)")
        }
        for path in ["/tasks", "/state"] {
            let tag = try #require(try HTTPCaller.call(manager.http, "GET", path).headers["etag"])
            #expect(try HTTPCaller.call(manager.http, "GET", path, headers: ["If-None-Match": tag]).status == 304)
        }
        for asset in all where asset.id.hasPrefix("dashboard") && asset.responses["304"] != nil {
            let tag = try #require(try HTTPCaller.raw(manager.http, "GET", asset.path).headers["etag"])
            let again = try HTTPCaller.raw(manager.http, "GET", asset.path, headers: ["If-None-Match": tag])
            #expect(again.status == 304)
            produced.insert("\(asset.id) 304")
        }
        // A key whose task is over; then no task is left.
        let claim = #"{"worker":"u","count":1000}"#
        let key = ["Idempotency-Key": "k"]
        let claimed = try HTTPCaller.call(manager.http, "POST", "/claims", claim, headers: key)
        for task in try #require(claimed["tasks"] as? [[String: Any]]) {
            let id = try #require(task["task_id"] as? String)
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/\(id)/cancel").status == 200)
        }
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", claim, headers: key).status == 409)
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", claim).status == 204)
        produced.formUnion(["listTasks 304", "state 304", "claim 409", "claim 204"])
        produced.formUnion(try producedByDiscarding())
        let elsewhere: Set<String> = ["401", "403", "408", "413", "415", "421", "429", "431", "500", "503", "507"]
        let described = Set(
            all.flatMap { operation in
                operation.responses.keys.filter { !elsewhere.contains($0) }.map { "\(operation.id) \($0)" }
            })
        #expect(produced == described, "\(produced.symmetricDifference(described).sorted())")
    }

    /// Answers about history that is gone, and to what cannot be discarded.
    private func producedByDiscarding() throws -> Set<String> {
        let manager = try RunningManager(scratch.path + "/discarding", ["--segment-bytes", "2000"])
        for number in 0..<30 {
            let task = #"{"task_id":"t\#(number)","phase":"p","config":{}}"#
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        }
        let alone = try HTTPCaller.call(manager.http, "POST", "/compact", #"{"archive":"/a"}"#)
        #expect(alone.status == 400)
        let future = try HTTPCaller.call(manager.http, "POST", "/compact", #"{"discard_before":"2950-01-01"}"#)
        #expect(future.status == 400, "a slip of the pen must not take all of history: \(future.body)")
        let other = try RunningManager(scratch.path + "/other")
        #expect(other.stop() == 0)
        let refused = try HTTPCaller.call(
            manager.http, "POST", "/compact", #"{"discard_before":"now","archive":"\#(scratch.path)/other"}"#)
        #expect(refused.status == 409, "\(refused.body)")
        #expect(try HTTPCaller.call(manager.http, "POST", "/compact", #"{"discard_before":"now"}"#).status == 200)
        let paths = [
            "status": "status", "workers": "workers", "state": "state", "tasks": "listTasks", "tasks/t0": "getTask",
            "tasks/t0/history": "taskHistory", "tasks/t0/log": "taskLog", "results": "results", "events": "events",
        ]
        for path in paths.keys {
            #expect(try HTTPCaller.call(manager.http, "GET", "/\(path)?seq=1").status == 410, "\(path)")
        }
        return Set(["compact 400", "compact 409"] + paths.values.map { "\($0) 410" })
    }
}
