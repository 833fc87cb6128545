import EventLog
import Foundation
import TestSupport
import Testing

/// Workers' calls on connections that stay open: what is answered on the short way and what takes the long one.
@Suite("Workers' calls over HTTP", .serialized) struct QuickLaneTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func start(_ extra: [String] = []) throws -> RunningManager { try RunningManager(data, extra) }

    private func add(_ manager: RunningManager, _ count: Int) throws {
        let tasks = (0..<count).map { #"{"task_id":"t\#($0)","phase":"p","config":{}}"# }
        let added = try HTTPCaller.call(
            manager.http, "POST", "/tasks", "[" + tasks.joined(separator: ",") + "]")
        try #require(added.status == 200)
    }

    private static func post(_ path: String, _ body: String, _ fields: String = "") -> String {
        "POST /api/v1\(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\(fields)"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)"
    }

    /// The two ways, by what a request carries besides: one that asks for another protocol is decided by the router.
    private static let ways = ["", "Upgrade: nothing\r\n"]

    @Test func `both ways give the same answers, and the same fields`() throws {
        let manager = try start()
        defer { manager.kill() }
        try add(manager, 4)
        var answers: [[HTTPCaller.Answer]] = []
        for (turn, way) in Self.ways.enumerated() {
            let caller = try HTTPCaller(manager.http)
            let (first, second) = ("t\(2 * turn)", "t\(2 * turn + 1)")
            func ask(_ path: String, _ body: String) -> HTTPCaller.Answer {
                caller.sendRaw(Self.post(path, body, way + "X-Request-Id: same\r\n"))
                var answer = HTTPCaller.described(caller.answer(), "POST", "/api/v1" + path)
                answer.body = answer.body.replacing(first, with: "FIRST").replacing(second, with: "SECOND")
                return answer
            }
            let worker = #"{"worker":"w","attempt":1"#
            answers.append([
                ask("/claims", #"{"worker":"w","count":2}"#),
                ask("/tasks/\(first)/heartbeat", worker + #","progress":0.5}"#),
                ask("/tasks/\(first)/complete", worker + #","result":{"accuracy":0.9}}"#),
                ask("/tasks/\(first)/complete", worker + "}"),
                ask("/tasks/\(second)/fail", worker + #","error":"no"}"#),
                ask("/tasks/\(second)/fail", worker + #","error":"no"}"#),
                ask("/tasks/\(second)/heartbeat", worker + "}"),
                ask("/tasks/nothing/complete", worker + "}"),
                ask("/tasks/\(second)/complete", #"{"worker":"w"}"#),
                ask("/tasks/\(second)/complete", "{broken"),
                ask("/claims", #"{"worker":"w","count":0}"#),
                ask("/claims", #"{"worker":"v"}"#),
                ask("/tasks/\(second)/return", #"{"worker":"v","attempt":2}"#),
                // What was given back would be claimed first.
                ask("/tasks/\(second)/cancel", "{}"),
            ])
            // The task itself tells when it was added.
            answers[turn][13].body = ""
        }
        for (quick, long) in zip(answers[0], answers[1]) {
            #expect(quick.status == long.status && quick.body == long.body)
            var (one, other) = (quick.headers, long.headers)
            for name in ["date", "content-length"] {
                #expect((one[name] == nil) == (other[name] == nil), "\(name)")
                (one[name], other[name]) = (nil, nil)
            }
            #expect(one == other)
        }
        #expect(answers[0].map(\.status) == [200, 200, 200, 200, 200, 200, 409, 404, 400, 400, 400, 200, 200, 200])
    }

    @Test func `requests that were sent together are answered in their order, whichever way each takes`() throws {
        let manager = try start()
        defer { manager.kill() }
        try add(manager, 20)
        let caller = try HTTPCaller(manager.http)
        var text = ""
        for turn in 0..<10 {
            text += Self.post(
                "/claims", #"{"worker":"w"}"#, turn.isMultiple(of: 3) ? "Idempotency-Key: k\(turn)\r\n" : "")
            text += "GET /api/v1/tasks/t\(turn) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
            text += Self.post("/tasks/t\(turn)/complete", #"{"worker":"w","attempt":1}"#)
            text += Self.post("/tasks/t\(turn)/complete", #"{"worker":"nobody","attempt":7}"#)
            text += Self.post("/tasks/t\(turn)/heartbeat", #"{"worker":"w","attempt":1}"#)
        }
        caller.sendRaw(text)
        // A client that only shut its side is answered.
        caller.shutSending()
        for turn in 0..<10 {
            let claim = caller.answer()
            #expect(claim.status == 200 && claim.body.contains("\"t\(turn)\""))
            #expect(caller.answer()["status"] as? String == "assigned")
            #expect(caller.answer().body == #"{"ok":true}"#)
            for _ in 0..<2 { #expect(caller.answer().status == 409) }
        }
        #expect(try HTTPCaller.call(manager.http, "GET", "/status")["complete"] as? Int == 10)
    }

    @Test func `tokens, host names and the access log count on the short way too`() throws {
        let tokens = scratch.path + "/tokens"
        func token(_ name: String, _ role: String) throws -> String {
            try VerbRun(["token", "create", "--role", role, name, "--tokens", tokens]).output
                .trimmingCharacters(in: .newlines)
        }
        let (worker, viewer, boss) = (
            try token("box", "worker"), try token("eye", "viewer"), try token("me", "operator")
        )
        let log = scratch.path + "/access"
        let manager = try start(["--tokens", tokens, "--access-log", log])
        defer { manager.kill() }
        let task = #"{"task_id":"a","phase":"p","config":{}}"#
        let added = try HTTPCaller.call(
            manager.http, "POST", "/tasks", task, headers: ["Authorization": "Bearer \(boss)"])
        try #require(added.status == 200)
        let caller = try HTTPCaller(manager.http)
        func claim(_ fields: String) -> Int {
            caller.sendRaw(Self.post("/claims", #"{"worker":"w"}"#, fields))
            return caller.answer().status
        }
        #expect(claim("") == 401)
        #expect(claim("Authorization: Bearer \(viewer)\r\n") == 403)
        #expect(claim("Authorization: Bearer \(worker)\r\nX-Request-Id: mine\r\n") == 200)
        #expect(claim("Authorization: bearer \(worker)\r\n") == 204)
        let foreign = Self.post("/claims", #"{"worker":"w"}"#, "Authorization: Bearer \(worker)\r\n")
        caller.sendRaw(foreign.replacing("Host: 127.0.0.1", with: "Host: evil.example"))
        #expect(caller.answer().status == 421)
        let events = try VerbRun(["tail", "-n", "1", "--json", "--data-dir", data]).output
        #expect(events.contains(#""type":"assigned""#) && events.contains(#""actor":"box""#))
        // Taken away on a connection that has used it.
        #expect(try VerbRun(["token", "remove", "box", "--tokens", tokens]).status == 0)
        manager.signal(SIGHUP)
        #expect(try eventuallyBlocking { claim("Authorization: Bearer \(worker)\r\n") == 401 })
        #expect(
            try eventuallyBlocking {
                let lines = String(decoding: try readWholeFile(log, on: LocalFileSystem()), as: UTF8.self)
                return lines.contains(
                    #""request_id":"mine","peer":"127.0.0.1","actor":"box","method":"POST","path":"/api/v1/claims","status":200"#
                )
            })
    }

    @Test func `hostile requests are refused, each with a sentence, and harm nobody`() throws {
        let manager = try start()
        defer { manager.kill() }
        try add(manager, 1)
        let body = #"{"worker":"w"}"#
        for path in [
            "/tasks?at=-99999999999999999h", "/tasks?at=-1000000000000000d", "/status?at=-9223372036854775807",
            "/events?since=99999999999999999d", "/tasks?seq=18446744073709551616",
            "/state?at=2025-01-01T00:00:00%2B9e9",
        ] { #expect(try HTTPCaller.call(manager.http, "GET", path).status == 400, "\(path)") }
        let packed = try HTTPCaller.call(
            manager.http, "POST", "/claims", body, headers: ["Content-Encoding": "gzip"])
        #expect(packed.status == 415)
        for fields in ["Transfer-Encoding: gzip\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"] {
            let caller = try HTTPCaller(manager.http)
            caller.sendRaw(
                "POST /api/v1/claims HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n" + fields)
            let answer = caller.answer()
            #expect(answer.status == 400 && answer.headers["content-type"] == "application/problem+json", "\(fields)")
        }
        for body in [#"{"task_id":"x","phase":"p","config":{},"priority":-9223372036854775808}"#] {
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 400, "\(body)")
        }
        let least = #"{"priority":-9223372036854775808}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/t0/priority", least).status == 400)
        #expect(try HTTPCaller.raw(manager.http, "GET", "/readyz").status == 200)
    }

    @Test func `a connection ends with its answer where the client means that, and a name that is said twice is none`()
        throws
    {
        let manager = try start()
        defer { manager.kill() }
        for head in [
            "GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n",
            "GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n",
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Close\r\n",
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: te, close\r\n",
        ] {
            let caller = try HTTPCaller(manager.http)
            caller.sendRaw(head + "\r\n")
            #expect(caller.answer().body == "ok\n" && caller.isAtEnd(), "\(head)")
        }
        let caller = try HTTPCaller(manager.http)
        caller.sendRaw("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n")
        #expect(caller.answer().status == 421)
    }

    @Test func `a client that sends all of a body that is too large still gets its answer`() throws {
        let manager = try start()
        defer { manager.kill() }
        let body = "[" + String(repeating: " ", count: 40 << 20) + "]"
        for fields in [[:], ["Connection": "keep-alive"]] {
            let caller = try HTTPCaller(manager.http)
            caller.send("POST", "/tasks", body, headers: fields)
            #expect(caller.answer().status == 413)
        }
    }

    @Test func `a stop lets running calls finish, and nothing acknowledged is lost by a kill`() throws {
        let manager = try start()
        try add(manager, 300)
        let caller = try HTTPCaller(manager.http)
        var acknowledged = 0
        for turn in 0..<300 {
            if turn == 150 { manager.signal(SIGKILL) }
            caller.sendRaw(Self.post("/claims", #"{"worker":"w"}"#))
            guard caller.answer().status == 200 else { break }
            acknowledged += 1
        }
        manager.kill()
        #expect(acknowledged >= 100)
        let next = try start()
        let status = try HTTPCaller.call(next.http, "GET", "/status")
        #expect((status["assigned"] as? Int ?? 0) >= acknowledged)
        #expect(next.stop() == 0)
    }
}
