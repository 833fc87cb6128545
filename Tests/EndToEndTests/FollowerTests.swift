import Foundation
import Glibc
import TestSupport
import Testing

@testable import manager

/// Many followers of the events, and slow ones.
@Suite("A thousand followers", .serialized) struct FollowerTests {
    private let scratch: TemporaryDirectory

    init() throws {
        scratch = try TemporaryDirectory()
        OpenFiles.raiseLimit()
    }

    private func add(_ manager: RunningManager, _ id: String, config: String = "{}") throws {
        let body = #"{"task_id":"\#(id)","phase":"p","config":\#(config)}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
    }

    private func follower(_ manager: RunningManager, _ query: String = "", sse: Bool = true) throws -> HTTPCaller {
        let caller = try HTTPCaller(manager.http)
        caller.send(
            "GET", "/events?follow=true" + query, headers: sse ? ["Accept": "text/event-stream"] : [:])
        #expect(caller.head().status == 200)
        return caller
    }

    /// Reads until a text has come.
    private func read(_ caller: HTTPCaller, until mark: String) -> String {
        var text = ""
        while let piece = caller.piece() {
            text += piece
            // Whole events come together.
            if piece.contains(mark) { break }
        }
        return text
    }

    private func seqs(_ text: String) -> [Int] {
        text.split(separator: "\n").compactMap { line in
            guard let start = line.range(of: "{\"seq\":") else { return nil }
            return Int(line[start.upperBound...].prefix { $0.isNumber })
        }
    }

    private func threads(_ manager: RunningManager) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(manager.process.processIdentifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("Threads:") })
        return try #require(Int(line.split(separator: "\t").last ?? ""))
    }

    @Test func `each gets every event once and in order, without a thread each, and the writer goes on`() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        func addition(_ name: String, _ number: Int) {
            let task = #"{"task_id":"\#(name)\#(number)","phase":"p","config":{}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains(#""added":1"#) == true)
        }
        for number in 0..<50 { addition("alone", number) }
        let all = try (0..<1000).map { number in
            switch number % 4 {
            case 0: try follower(manager, "&type=added&from=52")
            case 1: try follower(manager, "&from=52", sse: false)
            case 2: try follower(manager, "&from=52&phase=p")
            default: try follower(manager, "&from=1&type=added")
            }
        }
        #expect(try threads(manager) < 40)
        for number in 0..<50 { addition("followed", number) }
        for (number, caller) in all.enumerated() {
            let found = seqs(read(caller, until: "\"followed49\""))
            let first = number % 4 == 3 ? 2 : 52
            #expect(found == Array(first...101), "follower \(number): \(found.prefix(3))…\(found.suffix(3))")
        }
        #expect(try threads(manager) < 40)
        let metrics = try HTTPCaller.raw(manager.http, "GET", "/metrics").body
        #expect(metrics.contains("manager_followers 1000\n"))
        for caller in all { caller.shut() }
        #expect(
            try eventuallyBlocking {
                try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains("manager_followers 0\n")
            })
        #expect(manager.stop() == 0)
    }

    @Test func `clients that leave before anything was answered take nobody's place`() throws {
        let manager = try RunningManager(scratch.path + "/data")
        defer { manager.kill() }
        for _ in 0..<500 {
            let leaving = try HTTPCaller(manager.http)
            leaving.resetWhenDropped()
            leaving.send("GET", "/events?follow=true", headers: ["Accept": "text/event-stream"])
        }
        let areGone = try eventuallyBlocking {
            try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains("manager_followers 0\n")
        }
        #expect(areGone)
        _ = try follower(manager)
    }

    @Test func `one that takes nothing for a while is served out of the files, and misses nothing`() throws {
        let manager = try RunningManager(scratch.path, ["--segment-bytes", "4MiB"])
        let slow = try follower(manager)
        let quick = try follower(manager)
        let config = "{\"x\":\"\(String(repeating: "x", count: 500_000))\"}"
        for number in 0..<24 {
            try add(manager, "t\(number)", config: config)
            // The first of these comes only when the second does not hold the others up.
            #expect(read(quick, until: "\"t\(number)\"").contains("\"t\(number)\""))
        }
        let text = read(slow, until: "\"t23\"")
        #expect(seqs(text) == Array(1...25))
        try add(manager, "last")
        #expect(seqs(read(slow, until: "\"last\"")) == [26])
    }

    @Test func `a stop ends all of them, and a next start serves them from where they were`() throws {
        let manager = try RunningManager(scratch.path)
        try add(manager, "a")
        let caller = try follower(manager)
        try add(manager, "b")
        #expect(seqs(read(caller, until: "\"b\"")) == [1, 2, 3])
        #expect(manager.stop() == 0)
        while caller.piece() != nil {}
        let again = try RunningManager(scratch.path)
        let resumed = try HTTPCaller(again.http)
        resumed.send(
            "GET", "/events?follow=true", headers: ["Accept": "text/event-stream", "Last-Event-ID": "2"])
        _ = resumed.head()
        try add(again, "c")
        #expect(seqs(read(resumed, until: "\"c\"")) == [3, 4, 5, 6])
    }
}
