import Foundation
import TestSupport
import Testing

@Suite("The event stream over HTTP", .serialized)
struct EventStreamTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    private func add(_ manager: RunningManager, _ id: String) throws {
        let body = #"{"task_id":"\#(id)","phase":"p","config":{}}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
    }

    /// Reads pieces until they contain a text.
    private func pieces(_ caller: HTTPCaller, until mark: String) -> String {
        var text = ""
        while !text.contains(mark), let piece = caller.piece() { text += piece }
        return text
    }

    @Test("the lines are the journal's own, from any seq, of any type or task, also out of sealed segments")
    func lines() throws {
        let manager = try RunningManager(scratch.path, ["--segment-bytes", "600"])
        for id in 0..<20 { try add(manager, "t\(id)") }
        let all = try HTTPCaller.call(manager.http, "GET", "/events").body
        #expect(try RunningManager.verb("tail", "--json", "--from", "1", "--data-dir", scratch.path).output == all)
        let lines = all.split(separator: "\n")
        #expect(lines.count >= 21)
        let from = try HTTPCaller.call(manager.http, "GET", "/events?from=5").body.split(separator: "\n")
        #expect(from == Array(lines[4...]))
        let one = try HTTPCaller.call(manager.http, "GET", "/events?task=t7&type=added").body
        #expect(one.split(separator: "\n").count == 1 && one.contains("\"t7\""))
        #expect(try HTTPCaller.call(manager.http, "GET", "/events?since=tomorrow").status == 400)
        #expect(try HTTPCaller.call(manager.http, "GET", "/events?from=x").status == 400)
    }

    @Test("Server-Sent Events follow, across segments, and resume after Last-Event-ID")
    func resume() throws {
        let manager = try RunningManager(scratch.path, ["--segment-bytes", "600"])
        try add(manager, "first")
        let follower = try HTTPCaller(manager.http)
        follower.send("GET", "/events?follow=true&type=added", headers: ["Accept": "text/event-stream"])
        #expect(follower.head().headers["content-type"] == "text/event-stream")
        let before = pieces(follower, until: "\"first\"")
        for id in 0..<12 { try add(manager, "t\(id)") }
        let live = before + pieces(follower, until: "\"t11\"")
        let ids = live.split(separator: "\n").filter { $0.hasPrefix("id: ") }.compactMap { Int($0.dropFirst(4)) }
        #expect(ids.count == 13 && ids == ids.sorted())
        let resumed = try HTTPCaller(manager.http)
        resumed.send(
            "GET", "/events?follow=true&type=added",
            headers: ["Accept": "text/event-stream", "Last-Event-ID": "\(ids[10])"])
        _ = resumed.head()
        let rest = pieces(resumed, until: "\"t11\"")
        #expect(rest.split(separator: "\n").filter { $0.hasPrefix("id: ") }.count == 2)
        // Followers do not keep the manager from stopping.
        #expect(manager.stop() == 0)
        #expect(follower.piece() == nil || follower.piece() == nil)
    }

    @Test("a client that leaves in the middle of a long answer harms nobody")
    func leaving() throws {
        let manager = try RunningManager(scratch.path)
        let config = String(repeating: "x", count: 1_000_000)
        for round in 0..<3 {
            let tasks = (0..<7).map { #"{"task_id":"t\#(round)-\#($0)","phase":"p","config":{"a":"\#(config)"}}"# }
            let added = try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]")
            try #require(added.status == 200)
        }
        for path in ["/events", "/events?follow=true", "/tasks?limit=10000"] {
            let leaving = try HTTPCaller(manager.http)
            leaving.send("GET", path)
            #expect(leaving.head().status == 200)
            leaving.shut()
        }
        for _ in 0..<20 {
            #expect(try HTTPCaller.call(manager.http, "GET", "/status").status == 200)
        }
        #expect(manager.stop() == 0)
    }
}
