import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// Tokens, roles, hosts and what is refused: the real binary, asked from outside.
@Suite("Security, from outside") struct SecurityTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func tokens(_ entries: [(name: String, role: String)]) throws -> (file: String, tokens: [String]) {
        let file = directory.path + "/secrets/tokens"
        let made = try entries.map { name, role in
            let run = try VerbRun(["token", "create", "--role", role, name, "--tokens", file])
            #expect(run.status == 0, "\(run.errors)")
            return run.output.trimmingCharacters(in: .newlines)
        }
        return (file, made)
    }

    private func bearer(_ token: String) -> [String: String] { ["Authorization": "Bearer \(token)"] }

    @Test func `a token is shown once and only its hash is kept, in a file for its owner alone`() throws {
        let (file, made) = try tokens([("box", "worker"), ("me", "operator")])
        let text = try #require(String(data: Data(try readWholeFile(file, on: LocalFileSystem())), encoding: .utf8))
        #expect(made.allSatisfy { $0.hasPrefix("mgr_") && $0.count == 47 && !text.contains($0) })
        #expect(text.split(separator: "\n").count == 2)
        #expect(try LocalFileSystem().metadata(file)?.permissions == 0o600)
        let again = try VerbRun(["token", "create", "--role", "viewer", "box", "--tokens", file])
        #expect(again.status == 1)
        #expect(again.errors.contains("has a token named 'box' already"))
        #expect(try VerbRun(["token", "list", "--tokens", file]).output == "box worker\nme operator\n")
        #expect(try VerbRun(["token", "remove", "box", "--tokens", file]).status == 0)
        #expect(try VerbRun(["token", "list", "--tokens", file]).output == "me operator\n")
        #expect(try VerbRun(["token", "create", "--role", "king", "x", "--tokens", file]).status == 64)
    }

    @Test func `a file of tokens that others may read stops the start`() throws {
        let (file, _) = try tokens([("me", "operator")])
        chmod(file, 0o644)
        let run = try VerbRun(["serve", "--data-dir", directory.path + "/d", "--tokens", file])
        #expect(run.status == 1)
        #expect(run.errors.contains("others than its owner may read or write the tokens' file \(file)"))
        #expect(try LocalFileSystem().metadata(directory.path + "/d") == nil)
    }

    @Test func `each role may do what it is for, and events name the token`() throws {
        let (file, made) = try tokens([("eye", "viewer"), ("box", "worker"), ("me", "operator")])
        let manager = try RunningManager(directory.path + "/d", ["--tokens", file])
        defer { manager.kill() }
        func call(_ method: String, _ path: String, _ body: String? = nil, _ token: String?) throws -> Int {
            try HTTPCaller.call(manager.http, method, path, body, headers: token.map(bearer) ?? [:]).status
        }
        let task = #"{"task_id":"a","phase":"p","config":{"x":1}}"#
        #expect(try call("POST", "/tasks", task, nil) == 401)
        #expect(try call("POST", "/tasks", task, made[0]) == 403)
        #expect(try call("POST", "/tasks", task, made[1]) == 403)
        #expect(try call("POST", "/tasks", task, made[2]) == 200)
        #expect(try call("GET", "/status", nil, nil) == 401)
        #expect(try call("GET", "/status", nil, made[0]) == 200)
        #expect(try call("POST", "/claims", #"{"worker":"w"}"#, made[0]) == 403)
        #expect(try call("POST", "/claims", #"{"worker":"w"}"#, made[1]) == 200)
        #expect(try call("POST", "/tasks/a/cancel", nil, made[1]) == 403)
        #expect(try call("POST", "/tasks/a/complete", #"{"worker":"w","attempt":1}"#, made[1]) == 200)
        #expect(try call("GET", "/nothing", nil, nil) == 401)
        let refused = try HTTPCaller.call(manager.http, "GET", "/status")
        #expect(refused.headers["www-authenticate"] == "Bearer realm=\"manager\"")
        #expect(refused.headers["content-type"] == "application/problem+json")
        let events = try HTTPCaller.call(manager.http, "GET", "/events?task=a", headers: bearer(made[0])).body
        #expect(events.contains(#""type":"added""#) && events.contains(#""actor":"me""#))
        #expect(events.contains(#""type":"assigned""#) && events.contains(#""actor":"box""#))
        #expect(!events.contains("mgr_"))
    }

    @Test func `a changed file counts from SIGHUP on, and a broken one changes nothing`() throws {
        let (file, made) = try tokens([("me", "operator")])
        let manager = try RunningManager(directory.path + "/d", ["--tokens", file])
        defer { manager.kill() }
        let later = try VerbRun(["token", "create", "--role", "viewer", "late", "--tokens", file]).output
            .trimmingCharacters(in: .newlines)
        #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(later)).status == 401)
        manager.signal(SIGHUP)
        _ = try eventuallyBlocking {
            try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(later)).status == 200
        }
        try Data("broken line here and more\n".utf8).write(to: URL(fileURLWithPath: file))
        manager.signal(SIGHUP)
        #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(made[0])).status == 200)
    }

    @Test func `what goes on for long ends when its token is taken away, and for nobody else`() throws {
        let (file, made) = try tokens([("eye", "viewer"), ("other", "viewer"), ("me", "operator")])
        let manager = try RunningManager(directory.path + "/d", ["--tokens", file])
        defer { manager.kill() }
        let task = #"{"task_id":"a","phase":"p","config":{}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", task, headers: bearer(made[2])).status == 200)
        let claim = #"{"worker":"w"}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", claim, headers: bearer(made[2])).status == 200)
        let logs = directory.path + "/d/results_p/logs"
        try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        try Data("out\n".utf8).write(to: URL(fileURLWithPath: logs + "/a.1.log"))
        func following(_ path: String, _ token: String, until mark: String) throws -> HTTPCaller {
            let caller = try HTTPCaller(manager.http)
            caller.send("GET", path, headers: bearer(token))
            #expect(caller.head().status == 200)
            while let piece = caller.piece(), !piece.contains(mark) {}
            return caller
        }
        let events = try following("/events?follow=true", made[0], until: "\"assigned\"")
        let log = try following("/tasks/a/log?follow=true", made[0], until: "out\n")
        let others = try following("/events?follow=true", made[1], until: "\"assigned\"")
        #expect(try VerbRun(["token", "remove", "eye", "--tokens", file]).status == 0)
        manager.signal(SIGHUP)
        #expect(events.piece() == nil && log.piece() == nil)
        let headers = bearer(made[2])
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/a/cancel", headers: headers).status == 200)
        #expect(others.piece()?.contains("\"cancelled\"") == true)
    }

    @Test func `who guesses tokens has to wait, who repeats an old one does not lock out others`() throws {
        let (file, made) = try tokens([("me", "operator")])
        let manager = try RunningManager(directory.path + "/d", ["--tokens", file])
        defer { manager.kill() }
        for _ in 0..<30 {
            #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer("mgr_old")).status == 401)
        }
        #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(made[0])).status == 200)
        for guess in 0..<9 {
            #expect(try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer("mgr_\(guess)")).status == 401)
        }
        let blocked = try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(made[0]))
        #expect(blocked.status == 429)
        #expect(try #require(Int(blocked.headers["retry-after"] ?? "")) > 30)
        let raw = try LineClient(port: manager.workers)
        #expect(try #require(raw.ask(#"{"type":"auth","token":"\#(made[0])"}"#)).contains("too many wrong tokens"))
        // What tells nothing is still told.
        #expect(try HTTPCaller.raw(manager.http, "GET", "/healthz").status == 200)
    }

    @Test func `the workers' port wants the token first, and a role that fits`() throws {
        let (file, made) = try tokens([("eye", "viewer"), ("box", "worker"), ("me", "operator")])
        let manager = try RunningManager(directory.path + "/d", ["--tokens", file])
        defer { manager.kill() }
        let add = #"{"type":"add","tasks":[{"task_id":"a","phase":"p","config":{"x":1}}]}"#
        let claim = #"{"type":"claim","worker_id":"w"}"#
        let nobody = try LineClient(port: manager.workers)
        #expect(try #require(nobody.ask(add)).contains("wants a token"))
        #expect(try #require(nobody.ask(claim)).contains("wants a token"))
        let box = try LineClient(port: manager.workers)
        #expect(box.ask(#"{"type":"auth","token":"\#(made[1])"}"#) == #"{"type":"ack"}"#)
        #expect(try #require(box.ask(add)).contains("needs the role operator"))
        let me = try LineClient(port: manager.workers)
        #expect(me.ask(#"{"type":"auth","token":"\#(made[2])"}"#) == #"{"type":"ack"}"#)
        #expect(try #require(me.ask(add)).contains(#""added":1"#))
        #expect(try #require(box.ask(claim)).contains(#""task_id":"a""#))
        let eye = try LineClient(port: manager.workers)
        #expect(eye.ask(#"{"type":"auth","token":"\#(made[0])"}"#) == #"{"type":"ack"}"#)
        #expect(try #require(eye.ask(claim)).contains("needs the role worker"))
        let wrong = try LineClient(port: manager.workers)
        #expect(try #require(wrong.ask(#"{"type":"auth","token":"nonsense"}"#)).contains("none of this manager's"))
        // A worker's token that is taken away is refused on connections that stand, from the next SIGHUP on.
        #expect(try VerbRun(["token", "remove", "box", "--tokens", file]).status == 0)
        manager.signal(SIGHUP)
        _ = try eventuallyBlocking { box.ask(claim)?.contains("wants a token") == true }
    }

    @Test func `workers and verbs send MANAGER_TOKEN`() throws {
        let (file, made) = try tokens([("box", "worker"), ("me", "operator")])
        let data = directory.path + "/d"
        let manager = try RunningManager(data, ["--tokens", file])
        defer { manager.kill() }
        let sweep = directory.path + "/s.yaml"
        try Data("p:\n  combinations:\n    - x: [1, 2]\n".utf8).write(to: URL(fileURLWithPath: sweep))
        let denied = try VerbRun(["submit", sweep, "--data-dir", data])
        #expect(denied.status == 1)
        #expect(denied.errors.contains("wants a token: set MANAGER_TOKEN"))
        let done = try VerbRun(["submit", sweep, "--data-dir", data], environment: ["MANAGER_TOKEN": made[1]])
        #expect(done.status == 0, "\(done.errors)")
        let worker = try VerbRun(
            [
                "worker", "--url", manager.http, "--dir", directory.path + "/w", "--name", "w1", "--max-tasks", "2",
                "--", "true",
            ], environment: ["MANAGER_TOKEN": made[0]])
        #expect(worker.status == 0, "\(worker.errors)")
        let status = try HTTPCaller.call(manager.http, "GET", "/status", headers: bearer(made[1]))
        #expect(status["complete"] as? Int == 2)
        let events = try VerbRun(["tail", "-n", "100", "--json", "--data-dir", data]).output
        #expect(events.contains(#""actor":"box""#) && events.contains(#""actor":"me""#))
        #expect(!events.contains("mgr_"))
    }

    @Test func `beyond this machine tokens and TLS are due`() throws {
        let run = try VerbRun(["serve", "--data-dir", directory.path + "/d", "--listen", "0.0.0.0:0"])
        #expect(run.status == 64)
        #expect(run.errors.contains("--tokens, --tls-cert and --tls-key are missing"))
        let (file, _) = try tokens([("me", "operator")])
        let half = try VerbRun(
            ["serve", "--data-dir", directory.path + "/d", "--worker-listen", "0.0.0.0:0", "--tokens", file])
        #expect(half.status == 64)
        #expect(half.errors.contains("--worker-listen 0.0.0.0:0 can be reached from other machines"))
        #expect(try LocalFileSystem().metadata(directory.path + "/d") == nil)
    }

    @Test func `a host name is answered to only where it is allowed`() throws {
        let manager = try RunningManager(directory.path + "/d", ["--allow-host", "lab.example"])
        defer { manager.kill() }
        func status(_ host: String) throws -> Int {
            try HTTPCaller.call(manager.http, "GET", "/status", headers: ["Host": host]).status
        }
        #expect(try status("lab.example:5080") == 200)
        #expect(try status("LAB.example") == 200)
        #expect(try status("evil.example") == 421)
        #expect(try status("127.0.0.1.evil.example") == 421)
    }

    @Test func `answers forbid browsers what they need not do`() throws {
        let manager = try RunningManager(directory.path + "/d")
        defer { manager.kill() }
        let answer = try HTTPCaller.call(manager.http, "GET", "/status", headers: ["X-Request-Id": "my-id-1"])
        #expect(answer.headers["x-content-type-options"] == "nosniff")
        #expect(answer.headers["x-frame-options"] == "DENY")
        #expect(answer.headers["content-security-policy"]?.contains("default-src 'none'") == true)
        #expect(answer.headers["access-control-allow-origin"] == nil)
        #expect(answer.headers["x-request-id"] == "my-id-1")
        let odd = try HTTPCaller.call(manager.http, "GET", "/status", headers: ["X-Request-Id": "a b\"c"])
        #expect(odd.headers["x-request-id"] != "a b\"c")
        let missing = try HTTPCaller.call(manager.http, "GET", "/tasks/none")
        #expect(missing.status == 404 && missing.headers["x-content-type-options"] == "nosniff")
    }
}
