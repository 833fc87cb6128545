import EventLog
import Foundation
import Logging
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("A start on a full disk")
struct FullDiskStartTests {
    private let scratch: TemporaryDirectory
    private let disk = FullDiskFileSystem()
    private let logger: Logger

    init() throws {
        scratch = try TemporaryDirectory()
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        self.logger = logger
        // A journal that ended uncleanly: its last command is torn, so a start must rewrite the segment.
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        for id in ["a", "b"] {
            let added = client.ask(#"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"p","config":{}}]}"#)
            #expect(added?.contains(#""added":1"#) == true)
        }
        manager.kill()
        let journal = DataDirectory(scratch.path).journal
        let active = try #require(try journal.segments().last)
        let file = try LocalFileSystem().open(journal.path(of: active), .update)
        try writeAll(Array(#"{"seq":4,"time":"#.utf8), to: file, at: try file.sizeBytes())
        file.close()
    }

    private func options(_ data: DataDirectory) throws -> ManagerDaemon.Options {
        let any = try #require(Endpoint("127.0.0.1:0"))
        var options = ManagerDaemon.Options(data: data, http: any, workers: any)
        options.retryEvery = .milliseconds(100)
        return options
    }

    private func addresses() async throws -> (http: UInt16, workers: UInt16) {
        var found: (http: UInt16, workers: UInt16)?
        _ = try await eventually {
            let text = try String(contentsOfFile: scratch.path + "/journal/lock", encoding: .utf8)
            let ports = ["http", "tcp"].map { name -> UInt16? in
                guard let start = text.range(of: "\"\(name)\":\"127.0.0.1:") else { return nil }
                return UInt16(text[start.upperBound...].prefix { $0.isNumber })
            }
            // The killed manager's line has its addresses too.
            if text.contains("\"pid\":\(ProcessInfo.processInfo.processIdentifier),"), let http = ports[0],
                let workers = ports[1]
            {
                found = (http, workers)
            }
            return found != nil
        }
        return try #require(found, "no addresses in \(scratch.path)/journal/lock")
    }

    /// The first line of an answer over HTTP, and its last.
    private func http(_ port: UInt16, _ call: String) async throws -> (status: String, body: String) {
        try await onThread(named: "test") {
            Result {
                let client = try LineClient(port: port, fast: false)
                client.send(
                    "\(call) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                var lines: [String] = []
                while let line = client.line() { lines.append(line) }
                return (lines.first ?? "", lines.last ?? "")
            }
        }.get()
    }

    private func ask(_ port: UInt16, _ request: String) async throws -> String {
        try await onThread(named: "test") {
            Result {
                let client = try LineClient(port: port, fast: false)
                client.send(request)
                return client.line() ?? ""
            }
        }.get()
    }

    @Test("answers reads, refuses work with 507, and goes on by itself when there is room")
    func waits() async throws {
        disk.isFull = true
        let before = try DataFiles.all(scratch.path).filter { $0.key != "journal/lock" }
        let (options, logger) = (try options(DataDirectory(scratch.path, on: disk)), logger)
        let start = Task { try await ManagerDaemon.start(options, logger: logger) }
        let ports = try await addresses()
        let status = try await http(ports.http, "GET /api/v1/status")
        #expect(status.status.contains("200") && status.body.contains(#""total":2"#), "\(status)")
        #expect(try await http(ports.http, "GET /readyz").status.contains("503"))
        let refused = try await http(ports.http, "POST /api/v1/snapshot")
        #expect(refused.status.contains("507") && refused.body.contains("disk is full"), "\(refused)")
        for operation in InterfaceDescription.shared.operations where operation.method != "GET" {
            let url = "http://127.0.0.1:\(ports.http)"
            let path = String(operation.path.dropFirst("/api/v1".count)).replacing("{id}", with: "a")
            let answer = try await onThread(named: "test") {
                Result { try HTTPCaller.call(url, operation.method, path, "{}") }
            }.get()
            #expect(answer.status == 507 && operation.responses["507"] != nil, "\(operation.id)")
        }
        #expect(try await ask(ports.workers, #"{"type":"status"}"#).contains(#""total":2"#))
        for request in [
            #"{"type":"request_task","worker_id":"w"}"#, #"{"type":"task_complete","task_id":"a","worker_id":"w"}"#,
            "\n" + #"{"type":"claim","worker_id":"w"}"# + "\n",
        ] {
            let answer = try await ask(ports.workers, request)
            #expect(answer.contains(#""type":"error""#) && answer.contains("disk is full"), "\(request): \(answer)")
        }
        let during = try DataFiles.all(scratch.path).filter { $0.key != "journal/lock" && !$0.key.hasSuffix(".tmp") }
        #expect(during == before, "nothing was written")
        disk.isFull = false
        let daemon = try await start.value
        #expect(try await ask(ports.workers, #"{"type":"request_task","worker_id":"w"}"#).contains(#""task_id":"a""#))
        #expect(try await http(ports.http, "GET /readyz").status.contains("200"))
        try await daemon.stop()
        #expect(try VerbRun(["verify", "--data-dir", scratch.path]).status == 0)
    }

    private func call(
        _ daemon: ManagerDaemon, _ method: String, _ path: String, _ body: String? = nil
    ) async throws -> HTTPCaller.Answer {
        let url = "http://" + daemon.httpAddress
        return try await onThread(named: "test") { Result { try HTTPCaller.call(url, method, path, body) } }.get()
    }

    @Test("a disk that fills up while the manager runs: new work is 507, what runs can end, and room is used at once")
    func fillsUp() async throws {
        let daemon = try await ManagerDaemon.start(try options(DataDirectory(scratch.path, on: disk)), logger: logger)
        func claim() async throws -> (status: Int, ids: [String]) {
            let answer = try await call(daemon, "POST", "/claims", #"{"worker":"w"}"#)
            let tasks = answer["tasks"] as? [[String: Any]] ?? []
            return (answer.status, tasks.compactMap { $0["task_id"] as? String })
        }
        var claimed = try await claim().ids
        #expect(claimed == ["a"])
        disk.isFull = true
        var status = 200
        // What was reserved before goes first.
        let text = String(repeating: "x", count: 500_000)
        for number in 0..<200 where status == 200 {
            let task = #"{"task_id":"t\#(number)","phase":"q","after":["r"],"config":{"text":"\#(text)"}}"#
            let answer = try await call(daemon, "POST", "/tasks", task)
            status = answer.status
            if status != 200 {
                #expect(answer.headers["content-type"] == "application/problem+json")
                #expect((answer["detail"] as? String)?.contains("no room") == true, "\(answer.body)")
            }
        }
        #expect(status == 507)
        status = 200
        for _ in 0..<2000 where status == 200 {
            let answer = try await claim()
            status = answer.status
            claimed += answer.ids
        }
        // 204 where all were claimed before the room for their ends was used up.
        #expect(status == 507 || status == 204)
        #expect(try await call(daemon, "GET", "/status").status == 200)
        for id in claimed {
            let body = #"{"worker":"w","attempt":1,"result":{"y":1}}"#
            #expect(try await call(daemon, "POST", "/tasks/\(id)/complete", body).status == 200, "\(id)")
        }
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/final_results.csv"))
        disk.isFull = false
        let task = #"{"task_id":"last","phase":"p","config":{}}"#
        #expect(try await call(daemon, "POST", "/tasks", task).status == 200)
        let path = scratch.path + "/final_results.csv"
        let areWritten = try await eventually {
            guard FileManager.default.fileExists(atPath: path) else { return false }
            return try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").count == claimed.count + 1
        }
        let written = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { $0.prefix(40) }
        #expect(areWritten, "\(claimed.count) rows were due: \(written)")
        try await daemon.stop()
        #expect(try VerbRun(["verify", "--data-dir", scratch.path]).status == 0)
    }

    @Test("can be stopped while it waits, and has written nothing")
    func stops() async throws {
        disk.isFull = true
        var options = try options(DataDirectory(scratch.path, on: disk))
        options.isStopRequested = { true }
        let (asked, logger) = (options, logger)
        await #expect(throws: StartFailure.self) { _ = try await ManagerDaemon.start(asked, logger: logger) }
        let manager = try RunningManager(scratch.path)
        #expect(manager.stop() == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", scratch.path]).object()["total"] as? Int == 2)
    }
}
