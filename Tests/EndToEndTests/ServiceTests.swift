import EventLog
import Foundation
import TestSupport
import Testing

/// Limits, metrics, the dashboard and the access log, from outside.
@Suite("The HTTP service, from outside") struct ServiceTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private let task = #"{"task_id":"a","phase":"p \"q\"","config":{"x":1}}"#

    @Test func `a slow request ends with 408, a slow head with the connection`() throws {
        let manager = try RunningManager(directory.path, ["--request-timeout", "300ms", "--idle-timeout", "300ms"])
        defer { manager.kill() }
        let slow = try HTTPCaller(manager.http)
        slow.send("POST", "/tasks", "{", headers: ["Content-Length": "100"])
        let answer = slow.answer()
        #expect(answer.status == 408)
        #expect(answer["detail"] as? String == "the request's body did not come in time: send it faster, or in parts")
        let silent = try LineClient(
            port: try #require(UInt16(manager.http.split(separator: ":").last ?? "")), fast: false)
        silent.send("GET /healthz HTTP/1.1\r\nHost: 127")
        #expect(silent.line() == nil)
        #expect(try HTTPCaller.raw(manager.http, "GET", "/healthz").status == 200)
    }

    @Test func `bodies, heads and arrays have bounds that can be set`() throws {
        let manager = try RunningManager(
            directory.path,
            ["--max-body", "2KiB", "--max-header", "2KiB", "--max-items", "2"])
        defer { manager.kill() }
        let large = try HTTPCaller.call(manager.http, "POST", "/tasks", String(repeating: " ", count: 3000) + task)
        #expect(large.status == 413)
        let three = (0..<3).map { #"{"task_id":"t\#($0)","phase":"p","config":{}}"# }.joined(separator: ",")
        let many = try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(three)]")
        #expect(many.status == 413)
        #expect((many["detail"] as? String)?.contains("3 tasks, at most 2") == true)
        let long = try HTTPCaller.call(
            manager.http, "GET", "/status", headers: ["X-Long": String(repeating: "x", count: 4000)])
        #expect(long.status == 431)
    }

    @Test func `metrics tell of tasks, events, writes, workers and the process`() throws {
        let manager = try RunningManager(directory.path)
        defer { manager.kill() }
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"gpu0"}"#).status == 200)
        let answer = try HTTPCaller.raw(manager.http, "GET", "/metrics")
        #expect(answer.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        for line in [
            #"manager_tasks{phase="p \"q\"",status="assigned"} 1"#, #"manager_events_total{type="added"} 1"#,
            #"manager_worker_up{worker="gpu0"} 1"#, "manager_ready 1", "manager_journal_segments 1",
            "# TYPE manager_journal_sync_seconds histogram", #"manager_connections{port="workers"} 0"#,
        ] { #expect(answer.body.contains(line + "\n"), "\(line)") }
        for line in answer.body.split(separator: "\n") where !line.hasPrefix("#") {
            let parts = line.split(separator: " ")
            #expect(Double(parts.last ?? "") != nil, "\(line)")
            let name = line.prefix { $0 != "{" && $0 != " " }
            let family = ["_bucket", "_sum", "_count"].reduce(String(name)) {
                $0.hasSuffix($1) ? String($0.dropLast($1.count)) : $0
            }
            #expect(answer.body.contains("# HELP \(family) ") || answer.body.contains("# HELP \(name) "), "\(line)")
        }
        try checkWithPromtool(answer.body)
        // The dashboard's file for Grafana asks for nothing that is not there.
        let root = URL(fileURLWithPath: DataFiles.fixtures).deletingLastPathComponent()
        let panels = try String(
            contentsOf: root.appendingPathComponent("Documentation/grafana-dashboard.json"), encoding: .utf8)
        for match in panels.matches(of: try Regex("(manager|process)_[a-z_]+", as: (Substring, Substring).self)) {
            #expect(answer.body.contains(match.0) || match.0.contains("snapshot"), "\(match.0)")
        }
    }

    private func checkWithPromtool(_ text: String) throws {
        guard FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool") else {
            print("promtool is not there: the metrics' form was checked by this test alone")
            return
        }
        let file = directory.path + "/metrics.txt"
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/promtool")
        process.arguments = ["check", "metrics"]
        process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: file))
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let said = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(said)")
    }

    @Test func `the dashboard needs nothing from elsewhere and nothing in line`() throws {
        let manager = try RunningManager(directory.path)
        defer { manager.kill() }
        let page = try HTTPCaller.raw(manager.http, "GET", "/")
        #expect(page.status == 200)
        let policy = try #require(page.headers["content-security-policy"])
        #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
        #expect(!page.body.contains("<style") && !page.body.contains("style=") && !page.body.contains("onclick"))
        for asset in ["/assets/dashboard.css", "/assets/dashboard.js"] {
            let answer = try HTTPCaller.raw(manager.http, "GET", asset)
            #expect(answer.status == 200 && !answer.body.contains("innerHTML") && !answer.body.contains("://"))
            let tag = try #require(answer.headers["etag"])
            #expect(try HTTPCaller.raw(manager.http, "GET", asset, headers: ["If-None-Match": tag]).status == 304)
        }
        #expect(try HTTPCaller.raw(manager.http, "GET", "/openapi.json").body.contains("\"openapi\": \"3.1.0\""))
    }

    @Test func `those that ended last come first where that is asked for, as on the dashboard`() throws {
        let manager = try RunningManager(directory.path)
        defer { manager.kill() }
        let tasks = ["a", "b", "c", "d"].map { #"{"task_id":"\#($0)","phase":"p","config":{},"max_retries":0}"# }
        #expect(
            try HTTPCaller.call(manager.http, "POST", "/tasks", "[" + tasks.joined(separator: ",") + "]").status == 200)
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w","count":3}"#).status == 200)
        for name in ["b", "a", "c"] {
            let failed = try HTTPCaller.call(
                manager.http, "POST", "/tasks/\(name)/fail", #"{"worker":"w","attempt":1,"error":"no \#(name)"}"#)
            #expect(failed.status == 200)
        }
        func ids(_ query: String) throws -> [String] {
            let page = try HTTPCaller.call(manager.http, "GET", "/tasks?" + query)
            #expect(page.status == 200 && page["next"] is NSNull)
            let tasks = try #require(page["tasks"] as? [[String: Any]])
            return tasks.compactMap { $0["task_id"] as? String }
        }
        #expect(try ids("status=failed&newest=true") == ["c", "a", "b"])
        #expect(try ids("newest=true&limit=2") == ["c", "a"])
        #expect(try ids("phase=nowhere&newest=true") == [])
        #expect(try HTTPCaller.call(manager.http, "GET", "/tasks?newest=true&after=a").status == 400)
        let script = try HTTPCaller.raw(manager.http, "GET", "/assets/dashboard.js").body
        #expect(script.contains("api/v1/tasks?status=failed&newest=true"))
    }

    @Test func `what has not changed is not sent again`() throws {
        let manager = try RunningManager(directory.path)
        defer { manager.kill() }
        for path in ["/tasks", "/state"] {
            let tag = try #require(try HTTPCaller.call(manager.http, "GET", path).headers["etag"])
            #expect(try HTTPCaller.call(manager.http, "GET", path, headers: ["If-None-Match": tag]).status == 304)
            let added = #"{"task_id":"\#(path.dropFirst())","phase":"p","config":{}}"#
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", added).status == 200)
            #expect(try HTTPCaller.call(manager.http, "GET", path, headers: ["If-None-Match": tag]).status == 200)
        }
    }

    @Test func `large answers are compressed for those who take it`() throws {
        let manager = try RunningManager(directory.path)
        defer { manager.kill() }
        let tasks = (0..<200).map { #"{"task_id":"t\#($0)","phase":"p","config":{"x":\#($0)}}"# }
        let body = "[\(tasks.joined(separator: ","))]"
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
        let plain = try HTTPCaller.call(manager.http, "GET", "/tasks")
        #expect(plain.headers["content-encoding"] == nil && plain.headers["vary"] == "Accept-Encoding")
        let file = directory.path + "/answer"
        let curl = Process()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        curl.arguments = [
            "curl", "-s", "--compressed", "-o", file, "-w", "%{size_download}", manager.http + "/api/v1/tasks",
        ]
        let pipe = Pipe()
        curl.standardOutput = pipe
        try curl.run()
        let sent = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        curl.waitUntilExit()
        #expect(try String(contentsOfFile: file, encoding: .utf8) == plain.body)
        #expect(try #require(Int(sent)) * 4 < plain.body.utf8.count)
        let refusing = try HTTPCaller.call(manager.http, "GET", "/tasks", headers: ["Accept-Encoding": "gzip;q=0"])
        #expect(refusing.headers["content-encoding"] == nil)
    }

    @Test func `the access log has a line a request, without its query`() throws {
        let log = directory.path + "/access.log"
        let manager = try RunningManager(directory.path + "/d", ["--access-log", log])
        defer { manager.kill() }
        let asked = try HTTPCaller.call(
            manager.http, "GET", "/tasks?token=secret", headers: ["X-Request-Id": "seen-1"])
        #expect(asked.status == 200)
        var text = ""
        let isThere = try eventuallyBlocking {
            text = try String(contentsOfFile: log, encoding: .utf8)
            return text.contains("seen-1")
        }
        #expect(isThere)
        let line = try #require(text.split(separator: "\n").first { $0.contains("seen-1") })
        let entry = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(entry["path"] as? String == "/api/v1/tasks" && entry["status"] as? Int == 200)
        #expect(entry["peer"] as? String == "127.0.0.1" && entry["method"] as? String == "GET")
        #expect(!text.contains("secret"))
    }
}
