import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// Logs of programs over HTTP, and `logs --url`.
@Suite("Logs over HTTP", .serialized) struct LogTests {
    private let scratch: TemporaryDirectory
    private let manager: RunningManager
    private var data: String { scratch.path + "/data" }

    init() throws {
        scratch = try TemporaryDirectory()
        try LocalFileSystem().createDirectories(scratch.path + "/data")
        manager = try RunningManager(scratch.path + "/data")
    }

    /// Adds a task and claims it, as a worker of some machine.
    private func begin(_ id: String, host: String = "here") throws {
        let task = #"{"task_id":"\#(id)","phase":"p","config":{}}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        let claim = #"{"worker":"w","host":"\#(host)"}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/claims", claim).status == 200)
    }

    private func end(_ id: String) throws {
        let body = #"{"worker":"w","attempt":1}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks/\(id)/complete", body).status == 200)
    }

    /// What a worker in the data directory would do.
    private func write(_ text: String, _ name: String) throws {
        let file = data + "/results_p/logs/" + name
        try LocalFileSystem().createDirectories(parentDirectory(of: file))
        let bytes = Array(text.utf8)
        let log = try LocalFileSystem().open(file, .update)
        let end = try log.sizeBytes()
        try bytes.withUnsafeBytes { try log.write($0, at: end) }
        log.close()
    }

    private func get(_ path: String) throws -> HTTPCaller.Answer {
        try HTTPCaller.call(manager.http, "GET", path)
    }

    private func follower(_ path: String) throws -> HTTPCaller {
        let caller = try HTTPCaller(manager.http)
        caller.send("GET", path)
        #expect(caller.head().status == 200)
        return caller
    }

    private func pieces(_ caller: HTTPCaller, until mark: String) -> String {
        var text = ""
        while !text.contains(mark), let piece = caller.piece() { text += piece }
        return text
    }

    @Test func `the whole log, its last lines, or what comes after a byte`() throws {
        try begin("a")
        try write("one\ntwo\nthree", "a.1.log")
        let whole = try get("/tasks/a/log")
        #expect(whole.status == 200 && whole.body == "one\ntwo\nthree")
        #expect(whole.headers["content-type"] == "text/plain; charset=utf-8")
        #expect(whole.headers["manager-attempt"] == "1" && whole.headers["manager-log-offset"] == "0")
        for (query, text) in [
            ("tail=0", ""), ("tail=1", "three"), ("tail=2", "two\nthree"), ("tail=3", "one\ntwo\nthree"),
            ("tail=9", "one\ntwo\nthree"), ("offset=4", "two\nthree"), ("offset=13", ""), ("attempt=1", whole.body),
            ("offset=14", whole.body),
        ] { #expect(try get("/tasks/a/log?" + query).body == text, "\(query)") }
        try write("\n", "a.1.log")
        #expect(try get("/tasks/a/log?tail=1").body == "three\n")
        let long = (0..<40_000).map { "line \($0)\n" }.joined()
        try write(long, "a.1.log")
        #expect(try get("/tasks/a/log?tail=39999").body == long.dropFirst("line 0\n".count))
        #expect(try get("/tasks/a/log?tail=2").body == "line 39998\nline 39999\n")
        for query in ["attempt=0", "attempt=x", "tail=-1", "follow=maybe", "tail=1&offset=1", "follow=true&seq=1"] {
            #expect(try get("/tasks/a/log?" + query).status == 400, "\(query)")
        }
    }

    @Test func `who follows gets what comes, also in a file that was begun anew, up to the attempt's end`() throws {
        try begin("a")
        try write("one\n", "a.1.log")
        let following = try follower("/tasks/a/log?follow=true")
        #expect(pieces(following, until: "one\n") == "one\n")
        try write("two\n", "a.1.log")
        #expect(pieces(following, until: "two\n") == "two\n")
        let log = data + "/results_p/logs/a.1.log"
        try write("three\n", "a.1.log")
        try LocalFileSystem().rename(log, to: log + ".1")
        try write("four\n", "a.1.log")
        #expect(pieces(following, until: "four\n") == "three\nfour\n")
        try write("five\n", "a.1.log")
        try end("a")
        #expect(pieces(following, until: "never") == "five\n")
        #expect(try get("/tasks/a/log?follow=true").body == "four\nfive\n")
    }

    @Test func `clients that leave before anything was answered take nobody's place`() throws {
        try begin("a")
        try write("one\n", "a.1.log")
        for _ in 0..<200 {
            let leaving = try HTTPCaller(manager.http)
            leaving.resetWhenDropped()
            leaving.send("GET", "/tasks/a/log?follow=true")
        }
        // 64 may follow at once, and all of them find a place when the others are gone.
        var following: [HTTPCaller] = []
        let areServed = try eventuallyBlocking {
            let caller = try HTTPCaller(manager.http)
            caller.send("GET", "/tasks/a/log?follow=true")
            if caller.head().status == 200 { following.append(caller) }
            return following.count == 64
        }
        #expect(areServed, "\(following.count) were served")
        #expect(try get("/tasks/a/log?follow=true").status == 429)
        try end("a")
        for caller in following { #expect(pieces(caller, until: "never") == "one\n") }
    }

    @Test func `links out of the directory, pipes and directories are not shown`() throws {
        let secret = scratch.path + "/secret"
        try "secret".write(toFile: secret, atomically: true, encoding: .utf8)
        try begin("a")
        let log = data + "/results_p/logs/a.1.log"
        try LocalFileSystem().createDirectories(parentDirectory(of: log))
        for make: () -> Int32 in [
            { symlink(secret, log) }, { symlink("../../../secret", log) }, { mkfifo(log, 0o600) },
            { mkdir(log, 0o700) },
            { symlink(log, log) }, { symlink("/dev/zero", log) },
        ] {
            #expect(make() == 0)
            let answer = try get("/tasks/a/log")
            #expect(answer.status == 404)
            #expect((answer["detail"] as? String)?.contains("no ordinary file of the data directory") == true)
            remove(log)
        }
        // The directory of the log leads elsewhere.
        try LocalFileSystem().createDirectories(scratch.path + "/elsewhere")
        try "secret".write(toFile: scratch.path + "/elsewhere/a.1.log", atomically: true, encoding: .utf8)
        rmdir(data + "/results_p/logs")
        #expect(symlink(scratch.path + "/elsewhere", data + "/results_p/logs") == 0)
        #expect(try get("/tasks/a/log").status == 404)
        remove(data + "/results_p/logs")
        // A link that stays inside is a log like any other.
        try LocalFileSystem().createDirectories(data + "/kept")
        try "kept".write(toFile: data + "/kept/a.1.log", atomically: true, encoding: .utf8)
        #expect(symlink("../kept", data + "/results_p/logs") == 0)
        #expect(try get("/tasks/a/log").body == "kept")
        for id in ["..%2F..%2Fsecret", "%2Fetc%2Fpasswd", "nobody"] {
            #expect(try get("/tasks/\(id)/log").status == 404, "\(id)")
        }
    }

    @Test func `a log that stands elsewhere is named with its host and its path`() throws {
        try begin("a", host: "node-b")
        let answer = try get("/tasks/a/log?follow=true")
        #expect(answer.status == 404)
        let detail = try #require(answer["detail"] as? String)
        #expect(detail.contains("worker w keeps it on host node-b as results_p/logs/a.1.log below its --dir"))
        #expect((try get("/tasks/a/log?attempt=2")["detail"] as? String) == "task a has no attempt 2: its latest is 1")
        let verb = try VerbRun(["logs", "a", "--url", manager.http])
        #expect(verb.status == 1 && verb.errors.contains("host node-b"), "\(verb.errors)")
    }

    @Test func `logs -f --url shows a real worker's program, and ends with its attempt`() throws {
        let task = #"{"task_id":"a","phase":"p","config":{}}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        let go = scratch.path + "/go"
        let worker = try StartedProgram(
            [
                RunningManager.binary.path, "worker", "--url", manager.http, "--dir", data, "--name", "w",
                "--max-tasks", "1", "--", "sh", "-c", "echo begin; until [ -e \(go) ]; do sleep 0.02; done; echo done",
            ], outputPath: scratch.path + "/worker.out")
        let log = data + "/results_p/logs/a.1.log"
        try #require(try eventuallyBlocking { try LocalFileSystem().metadata(log)?.sizeBytes ?? 0 > 0 })
        let following = try StartedProgram(
            [RunningManager.binary.path, "logs", "a", "-f", "--url", manager.http], outputPath: scratch.path + "/out")
        #expect(try eventuallyBlocking { try following.output() == "begin\n" })
        #expect(following.isRunning)
        try LocalFileSystem().open(go, .createNew).close()
        #expect(following.wait() == 0)
        #expect(try following.output() == "begin\ndone\n")
        #expect(worker.wait() == 0)
        let last = try VerbRun(["logs", "a", "--url", manager.http, "--tail", "1"])
        #expect(last.output == "done\n" && last.status == 0)
        #expect(try VerbRun(["logs", "a", "--data-dir", data, "--tail", "1"]).output == "done\n")
    }

    /// As `--log-bytes` does.
    private func beginAnew() throws {
        let log = data + "/results_p/logs/a.1.log"
        try LocalFileSystem().rename(log, to: log + ".1")
    }

    @Test
    func `logs -f --url shows each line once when the log is begun anew before, while and after the manager is away`()
        throws
    {
        try begin("a")
        try write("line 0\n", "a.1.log")
        let following = try StartedProgram(
            [RunningManager.binary.path, "logs", "a", "-f", "--url", manager.http], outputPath: scratch.path + "/out")
        func shown() throws -> [String] {
            try following.output().split(separator: "\n").filter { !$0.hasPrefix("manager: ") }.map(String.init)
        }
        var count = 1
        func writeOne() throws {
            try write("line \(count)\n", "a.1.log")
            count += 1
        }
        #expect(try eventuallyBlocking { try shown().count == 1 })
        var running = manager
        for round in 0..<3 {
            for _ in 0...round {
                try writeOne()
                try beginAnew()
                try writeOne()
                #expect(try eventuallyBlocking { try shown().count == count })
            }
            let away = try following.output().components(separatedBy: "is away").count
            running.kill()
            #expect(try eventuallyBlocking { try following.output().components(separatedBy: "is away").count > away })
            try writeOne()
            if round > 0 {
                try beginAnew()
                try writeOne()
            }
            running = try RunningManager(data, ["--listen", String(manager.http.dropFirst("http://".count))])
            #expect(try eventuallyBlocking { try shown().count == count })
        }
        try writeOne()
        let body = #"{"worker":"w","attempt":1}"#
        #expect(try HTTPCaller.call(running.http, "POST", "/tasks/a/complete", body).status == 200)
        #expect(following.wait() == 0)
        #expect(try shown() == (0..<count).map { "line \($0)" })
    }

    @Test func `who names a file is answered to its end, and goes on in the next`() throws {
        try begin("a")
        try write("one\n", "a.1.log")
        let first = try get("/tasks/a/log")
        let file = try #require(first.headers["manager-log-file"])
        try beginAnew()
        try write("two\n", "a.1.log")
        let rest = try get("/tasks/a/log?follow=true&file=\(file)&offset=2")
        #expect(rest.body == "e\n" && rest.headers["manager-log-file"] == file)
        let next = try follower("/tasks/a/log?follow=true&file=\(file)&offset=4")
        #expect(pieces(next, until: "two\n") == "two\n")
        try end("a")
        #expect(pieces(next, until: "never").isEmpty)
        #expect(try get("/tasks/a/log?file=\(file)").status == 400)
    }

    @Test func `logs -f --url goes on after the last byte when the manager was away`() throws {
        try begin("a")
        try write("one\n", "a.1.log")
        let following = try StartedProgram(
            [RunningManager.binary.path, "logs", "a", "-f", "--url", manager.http], outputPath: scratch.path + "/out")
        #expect(try eventuallyBlocking { try following.output() == "one\n" })
        manager.kill()
        #expect(try eventuallyBlocking { try following.output().contains("is away; trying again") })
        try write("two\n", "a.1.log")
        let again = try RunningManager(data, ["--listen", String(manager.http.dropFirst("http://".count))])
        #expect(try eventuallyBlocking { try following.output().hasSuffix("two\n") })
        let body = #"{"worker":"w","attempt":1}"#
        #expect(try HTTPCaller.call(again.http, "POST", "/tasks/a/complete", body).status == 200)
        #expect(following.wait() == 0)
        let shown = try following.output().split(separator: "\n").filter { !$0.hasPrefix("manager: ") }
        #expect(shown == ["one", "two"])
    }
}
