import Foundation
import TestSupport
import Testing

@Suite("HTTP calls", .serialized)
struct HTTPTests {
    private let scratch: TemporaryDirectory
    private let manager: RunningManager

    init() throws {
        scratch = try TemporaryDirectory()
        manager = try RunningManager(scratch.path)
    }

    private func post(_ path: String, _ body: String? = nil) throws -> HTTPCaller.Answer {
        try HTTPCaller.call(manager.http, "POST", path, body)
    }

    private func get(_ path: String, _ headers: [String: String] = [:]) throws -> HTTPCaller.Answer {
        try HTTPCaller.call(manager.http, "GET", path, headers: headers)
    }

    private func task(_ id: String, _ more: String = "") -> String {
        #"{"task_id":"\#(id)","phase":"p","config":{"x":1}\#(more)}"#
    }

    private func claim(_ worker: String = "w") throws -> (task: String, attempt: Int) {
        let answer = try post("/claims", #"{"worker":"\#(worker)"}"#)
        let tasks = try #require(answer["tasks"] as? [[String: Any]])
        return (try #require(tasks.first?["task_id"] as? String), try #require(tasks.first?["attempt"] as? Int))
    }

    @Test("tasks are added once; other content under an id is a conflict, and a bad request adds nothing")
    func adding() throws {
        #expect(try post("/tasks", task("a")).body == #"{"added":1,"existing":0}"#)
        #expect(try post("/tasks", "[\(task("a")),\(task("b"))]").body == #"{"added":1,"existing":1}"#)
        // Numbers are compared as numbers, absent members by their defaults.
        let same = #"{"task_id":"a","phase":"p","config":{"x":1.0},"seed":42,"output_dirs":["results_p"]}"#
        #expect(try post("/tasks", same).body == #"{"added":0,"existing":1}"#)
        let other = try post("/tasks", "[\(task("c")),\(task("a", #","seed":1"#))]")
        #expect(other.status == 409)
        #expect(other.headers["content-type"] == "application/problem+json")
        #expect(other["title"] as? String == "Conflict" && other["status"] as? Int == 409)
        #expect((other["detail"] as? String)?.contains("task a") == true)
        #expect(try get("/tasks/c").status == 404)
        for bad in [#"{"task_id":"a/b","phase":"p","config":{}}"#, #"{"task_id":"d","phase":"p"}"#, "{", "[1]"] {
            #expect(try post("/tasks", bad).status == 400, "\(bad)")
        }
        #expect(try post("/tasks", #"{"task_id":"d","phase":"p","config":{"x":1,"x":2}}"#).status == 400)
    }

    @Test("bodies over 8 MiB, of another type, under another name or from another page are turned away")
    func bodyRules() throws {
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", task("a"), type: "text/plain").status == 415)
        #expect(try HTTPCaller.call(manager.http, "POST", "/sweeps", "p: 1").status == 415)
        let huge = ["Content-Length": String(9 << 20)]
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", "[", headers: huge).status == 413)
        #expect(try get("/status", ["Host": "evil.example"]).status == 421)
        #expect(
            try get("/status", ["Host": "127.0.0.1.evil.example"]).status == 421, "a name that looks like an address")
        #expect(try get("/status", ["Origin": "http://evil.example"]).status == 403)
        let unknown = try get("/nowhere")
        #expect(unknown.status == 404)
        #expect(unknown.headers["content-type"] == "application/problem+json")
    }

    @Test("a page of this machine is taken by any of its names, at the same port alone")
    func origins() throws {
        let port = manager.http.split(separator: ":").last ?? ""
        for (host, origin) in [
            ("127.0.0.1:\(port)", "http://localhost:\(port)"), ("localhost:\(port)", "http://127.0.0.1:\(port)"),
            ("[::1]:\(port)", "http://LOCALHOST:\(port)"), ("localhost:\(port)", "http://localhost:\(port)"),
            ("127.0.0.1", "http://localhost"), ("127.0.0.1:80", "http://localhost"),
        ] {
            #expect(try get("/status", ["Host": host, "Origin": origin]).status == 200, "\(host) \(origin)")
        }
        for origin in [
            "http://localhost:1", "http://localhost", "https://localhost:\(port)", "http://evil.example:\(port)",
            "http://127.0.0.1.evil.example:\(port)", "null", "http://localhost:\(port).evil.example", "",
        ] {
            #expect(try get("/status", ["Host": "127.0.0.1:\(port)", "Origin": origin]).status == 403, "\(origin)")
        }
    }

    @Test("a wrong method is told from a path that is none; HEAD is answered as GET, without body")
    func methods() throws {
        for (method, path, allowed) in [
            ("DELETE", "/tasks", "GET, HEAD, POST"), ("GET", "/claims", "POST"), ("PUT", "/tasks/a", "GET, HEAD"),
            ("GET", "/tasks/a/cancel", "POST"), ("POST", "/status", "GET, HEAD"), ("PATCH", "/events", "GET, HEAD"),
        ] {
            let answer = try HTTPCaller.call(manager.http, method, path)
            #expect(answer.status == 405 && answer.headers["allow"] == allowed, "\(method) \(path) \(answer)")
            #expect(answer.headers["content-type"] == "application/problem+json")
        }
        #expect(try HTTPCaller.call(manager.http, "DELETE", "/tasks/a/nothing").status == 404)
        for path in ["/status", "/events?follow=true", "/tasks", "/results"] {
            let caller = try HTTPCaller(manager.http)
            caller.send("HEAD", path)
            #expect(caller.head().status == 200, "\(path)")
        }
    }

    @Test("a client that waits to be asked for its body is asked; one whose body is too large is told at once")
    func continues() throws {
        let caller = try HTTPCaller(manager.http)
        let body = task("a")
        let length = ["Content-Length": String(body.utf8.count), "Content-Type": "application/json"]
        caller.send("POST", "/tasks", headers: length.merging(["Expect": "100-continue"]) { $1 })
        #expect(caller.head().status == 100)
        caller.sendRaw(body)
        #expect(caller.answer().body == #"{"added":1,"existing":0}"#)
        let large = try HTTPCaller(manager.http)
        large.send(
            "POST", "/tasks",
            headers: [
                "Content-Length": String(9 << 20), "Content-Type": "application/json", "Expect": "100-Continue",
            ])
        #expect(large.answer().status == 413)
    }

    @Test("an event type that there is not is refused, with those that there are")
    func eventTypes() throws {
        let answer = try get("/events?type=added,nosuch")
        #expect(answer.status == 400 && (answer["detail"] as? String)?.contains("'nosuch': added, extended") == true)
        #expect(try get("/events?type=added,clock").status == 200)
    }

    @Test("a page of tasks goes on after its last, and filters hold")
    func paging() throws {
        let list = (0..<5).map { task("t\($0)") }.joined(separator: ",")
        _ = try post("/tasks", "[\(list)]")
        let first = try get("/tasks?limit=2")
        #expect((first["tasks"] as? [[String: Any]])?.compactMap { $0["task_id"] as? String } == ["t0", "t1"])
        #expect(first["next"] as? String == "t1")
        let last = try get("/tasks?limit=3&after=t1")
        #expect((last["tasks"] as? [Any])?.count == 3)
        #expect(last["next"] is NSNull)
        #expect(try claim("gpu7").task == "t0")
        #expect((try get("/tasks?status=assigned&worker=gpu7")["tasks"] as? [Any])?.count == 1)
        #expect((try get("/tasks?status=pending&phase=p")["tasks"] as? [Any])?.count == 4)
        #expect((try get("/tasks?phase=q")["tasks"] as? [Any])?.isEmpty == true)
        #expect(try get("/tasks?status=nonsense").status == 400)
        #expect(try get("/tasks?limit=0").status == 400)
    }

    @Test("a completion is taken once, late ones are adopted, what was never assigned is a conflict")
    func reports() throws {
        _ = try post("/tasks", "[\(task("a")),\(task("b"))]")
        #expect(try claim() == ("a", 1))
        #expect(try post("/tasks/a/complete", #"{"worker":"other","attempt":1}"#).status == 409)
        #expect(try post("/tasks/a/complete", #"{"worker":"w","attempt":2}"#).status == 409)
        #expect(try post("/tasks/a/complete", #"{"worker":"w"}"#).status == 400)
        #expect(try post("/tasks/none/complete", #"{"worker":"w","attempt":1}"#).status == 404)
        #expect(try post("/tasks/a/heartbeat", #"{"worker":"w","attempt":1}"#).body == #"{"cancel":false}"#)
        #expect(try post("/tasks/a/complete", #"{"worker":"w","attempt":1}"#).body == #"{"ok":true}"#)
        #expect(try post("/tasks/a/complete", #"{"worker":"w","attempt":1}"#).body == #"{"duplicate":true}"#)
        // A result for a completion that had none is taken, and its row is written before the answer.
        #expect(try post("/tasks/a/complete", #"{"worker":"w","attempt":1,"result":{"y":2}}"#).status == 200)
        let rows = try String(contentsOfFile: scratch.path + "/results_p/final_results.csv", encoding: .utf8)
        #expect(rows.contains("a,1,p,42,1,2\n"))
        #expect(try claim() == ("b", 1))
        #expect(try post("/tasks/b/fail", #"{"worker":"w","attempt":1,"error":"boom"}"#).status == 200)
        #expect(try post("/tasks/b/fail", #"{"worker":"w","attempt":1,"error":"boom"}"#).body == #"{"duplicate":true}"#)
        #expect(try claim() == ("b", 2))
        #expect(try post("/tasks/b/return", #"{"worker":"w","attempt":2}"#).status == 200)
        #expect(try post("/tasks/b/return", #"{"worker":"w","attempt":2}"#).status == 409)
        #expect(try post("/tasks/b/heartbeat", #"{"worker":"w","attempt":2}"#).status == 409)
        let late = try post("/tasks/b/complete", #"{"worker":"w","attempt":1,"result":{"y":3}}"#)
        #expect(late.body == #"{"ok":true,"late":true}"#)
        #expect(try get("/tasks/b")["status"] as? String == "complete")
        let results = try get("/results")
        #expect(results.body.contains(#""result":{"y":3}"#) && results.body.hasPrefix("[{\"task_id\":\"a\""))
        let history = try #require(try get("/tasks/b/history")["events"] as? [[String: Any]])
        #expect(
            history.compactMap { $0["type"] as? String } == [
                "added", "assigned", "failed", "requeued", "assigned", "requeued", "completed",
            ])
    }

    @Test("a claim waits for work, gives up after wait_s, and a client that leaves is assigned nothing")
    func waiting() throws {
        #expect(try post("/claims", #"{"worker":"w","wait_s":0}"#).status == 204)
        #expect(try post("/claims", #"{"worker":"w","wait_s":0.2}"#).status == 204)
        #expect(try post("/claims", #"{"worker":"w","wait_s":61}"#).status == 400)
        #expect(try post("/claims", #"{"wait_s":1}"#).status == 400)
        do {
            let leaving = try HTTPCaller(manager.http)
            leaving.send("POST", "/claims", #"{"worker":"gone","wait_s":60}"#)
            let staying = try HTTPCaller(manager.http)
            staying.send("POST", "/claims", #"{"worker":"stays","wait_s":60}"#)
            // Both wait once a third that asks later has been answered.
            _ = try post("/claims", #"{"worker":"w","wait_s":0.3}"#)
            leaving.shut()
            // Seen once a claim that comes later has waited in vain.
            _ = try post("/claims", #"{"worker":"w","wait_s":0.3}"#)
            _ = try post("/tasks", task("a"))
            let answer = staying.answer()
            #expect(answer.status == 200)
            #expect(((answer["tasks"] as? [[String: Any]])?.first?["task_id"] as? String) == "a")
        }
        #expect(try get("/tasks/a")["assigned_to"] as? String == "stays")
        #expect(try get("/tasks/a")["attempt"] as? Int == 1)
        // A claim that waits does not keep the manager from stopping.
        let last = try HTTPCaller(manager.http)
        last.send("POST", "/claims", #"{"worker":"last","wait_s":60}"#)
        _ = try post("/claims", #"{"worker":"w","wait_s":0.2}"#)
        #expect(manager.stop() == 0)
        #expect(last.answer().status == 204)
    }

    @Test("operators' acts follow the table: applied, already so, or a conflict")
    func operations() throws {
        _ = try post("/tasks", "[\(task("a")),\(task("b")),\(task("c"))]")
        #expect(try post("/tasks/a/hold")["status"] as? String == "held")
        #expect(try post("/tasks/a/hold")["status"] as? String == "held")
        #expect(try post("/tasks/b/release")["status"] as? String == "pending")
        #expect(try claim() == ("b", 1))
        #expect(try post("/tasks/b/hold").status == 409)
        #expect(try post("/tasks/b/cancel")["status"] as? String == "cancelled")
        #expect(try post("/tasks/b/heartbeat", #"{"worker":"w","attempt":1}"#).body == #"{"cancel":true}"#)
        #expect(try post("/tasks/b/complete", #"{"worker":"w","attempt":1}"#).status == 409)
        #expect(try post("/tasks/b/retry")["status"] as? String == "pending")
        #expect(try post("/tasks/c/priority", #"{"priority":7}"#)["priority"] as? Int == 7)
        #expect(try post("/tasks/c/priority").status == 415)
        #expect(try claim() == ("c", 1))
        #expect(try post("/tasks/c/retry").status == 409)
        #expect(try post("/tasks/c/requeue")["status"] as? String == "pending")
        #expect(try post("/tasks/none/cancel").status == 404)
        let before = try get("/status")["seq"] as? Int
        let dry = try post("/operations", #"{"verb":"cancel","phase":"p","dry_run":true}"#)
        #expect(dry.body == #"{"count":3}"#)
        #expect(try get("/status")["seq"] as? Int == before)
        #expect(try post("/operations", #"{"verb":"release","ids":["a","none"]}"#).status == 404)
        #expect(try get("/tasks/a")["status"] as? String == "held")
        #expect(try post("/operations", #"{"verb":"cancel","status":"held"}"#).body == #"{"count":1}"#)
        #expect(try post("/operations", #"{"verb":"cancel","phase":"p"}"#).body == #"{"count":2}"#)
        #expect(try post("/operations", #"{"verb":"cancel","phase":"p"}"#).body == #"{"count":0}"#)
        #expect(try post("/operations", #"{"verb":"explode","ids":["a"]}"#).status == 400)
        #expect(try post("/operations", #"{"verb":"cancel"}"#).status == 400)
    }

    @Test("a sweep is added once, and another output_dir extends it")
    func sweeps() throws {
        func sweep(_ yaml: String) throws -> HTTPCaller.Answer {
            try HTTPCaller.call(manager.http, "POST", "/sweeps", yaml, type: "application/yaml")
        }
        let yaml = "s:\n  combinations:\n    - a: [1, 2]\n"
        #expect(try sweep(yaml)["added"] as? Int == 2)
        let again = try sweep("defaults: {output_dir: other}\ns:\n  combinations:\n    - a: [2, 3]\n")
        #expect(again["added"] as? Int == 1)
        #expect(again["extended"] as? Int == 1)
        #expect(again["gone"] as? Int == 1)
        #expect(try sweep("nothing: here").status == 400)
    }
}
