import Foundation
import TestSupport
import Testing

@Suite("Idempotency-Key of claims", .serialized) struct ClaimKeyTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    private func add(_ manager: RunningManager, _ count: Int, from first: Int = 0) throws {
        let tasks = (first..<first + count).map { #"{"task_id":"t\#($0)","phase":"p","config":{}}"# }
        let answer = try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]")
        try #require(answer.status == 200)
    }

    private func claim(
        _ manager: RunningManager, _ key: String, worker: String = "w", count: Int = 1
    ) throws -> HTTPCaller.Answer {
        try HTTPCaller.call(
            manager.http, "POST", "/claims", #"{"worker":"\#(worker)","count":\#(count)}"#,
            headers: ["Idempotency-Key": key])
    }

    private func names(_ answer: HTTPCaller.Answer) throws -> [String] {
        let tasks = try #require(answer["tasks"] as? [[String: Any]], "\(answer)")
        return tasks.map { "\($0["task_id"] ?? "").\($0["attempt"] ?? "")" }
    }

    private func report(_ manager: RunningManager, _ task: String, _ what: String, _ attempt: Int = 1) throws {
        let body = #"{"worker":"w","attempt":\#(attempt)}"#
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks/\(task)/\(what)", body).status == 200)
    }

    @Test func `the same tasks come again, also from a manager that was killed and started again`() throws {
        var manager = try RunningManager(scratch.path)
        try add(manager, 4)
        let first = try claim(manager, "lost answer", count: 2)
        #expect(try names(first) == ["t0.1", "t1.1"])
        #expect(try claim(manager, "lost answer", count: 2).body == first.body)
        manager.kill()
        manager = try RunningManager(scratch.path)
        #expect(try claim(manager, "lost answer", count: 2).body == first.body)
        // Out of the state file: a clean stop writes it, and the start has nothing to replay.
        #expect(manager.stop() == 0)
        manager = try RunningManager(scratch.path)
        try report(manager, "t0", "complete")
        #expect(try names(claim(manager, "lost answer")) == ["t1.1"])
        #expect(try names(claim(manager, "lost answer", worker: "v")) == ["t2.1"])
        try report(manager, "t1", "complete")
        let over = try claim(manager, "lost answer")
        #expect(over.status == 409)
        #expect((over["detail"] as? String)?.contains("claim with a new key") == true)
        let events = try HTTPCaller.call(manager.http, "GET", "/events?type=assigned").body.split(separator: "\n")
        #expect(events.count == 3 && events.allSatisfy { $0.contains(#""claim_key":"lost answer""#) })
        let live = try HTTPCaller.call(manager.http, "GET", "/state").body
        #expect(live.contains(#""key":"lost answer""#))
        #expect(try VerbRun(["replay", "--data-dir", scratch.path]).output == live)
        #expect(manager.stop() == 0)
        #expect(try VerbRun(["verify", "--data-dir", scratch.path]).status == 0)
    }

    @Test func `a claim that got nothing, or whose task was given back, gets a task when it is repeated`() throws {
        let manager = try RunningManager(scratch.path)
        #expect(try claim(manager, "k").status == 204)
        try add(manager, 2)
        #expect(try names(claim(manager, "k")) == ["t0.1"])
        try report(manager, "t0", "return")
        #expect(try names(claim(manager, "k")) == ["t0.2"])
        for bad in [String(repeating: "k", count: 129), "k\u{e9}"] {
            #expect(try claim(manager, bad).status == 400)
        }
    }

    @Test func `a repetition takes the place of the claim that still waits, and keeps what it got`() throws {
        let manager = try RunningManager(scratch.path)
        let waiting = try HTTPCaller(manager.http)
        let body = #"{"worker":"w","wait_s":20}"#
        waiting.send("POST", "/claims", body, headers: ["Idempotency-Key": "k"])
        #expect(
            try eventuallyBlocking {
                try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains("manager_claims_waiting 1\n")
            })
        let again = try HTTPCaller(manager.http)
        again.send("POST", "/claims", body, headers: ["Idempotency-Key": "k"])
        #expect(waiting.answer().status == 204)
        try add(manager, 1)
        #expect(try names(again.answer()) == ["t0.1"])
        #expect(try names(claim(manager, "k")) == ["t0.1"])
        let events = try HTTPCaller.call(manager.http, "GET", "/events?type=assigned,requeued").body
        #expect(events.split(separator: "\n").count == 1)
    }

    @Test func `claims whose connections are reset before the answer give their tasks back`() throws {
        let manager = try RunningManager(scratch.path)
        try add(manager, 1)
        for number in 0..<30 {
            let caller = try HTTPCaller(manager.http)
            caller.send("POST", "/claims", #"{"worker":"w\#(number)"}"#)
            caller.reset()
            // An answer that was out before the reset is rightly kept: then the task is free by hand.
            let came = try eventuallyBlocking(within: .seconds(2)) {
                let events = try HTTPCaller.call(manager.http, "GET", "/events?type=assigned,requeued").body
                return events.split(separator: "\n").count == 2 * number + 2
            }
            if !came { try report(manager, "t0", "requeue", number + 1) }
        }
        let back = try HTTPCaller.call(manager.http, "GET", "/events?type=requeued").body.split(separator: "\n")
        #expect(back.filter { $0.contains(#""reason":"returned""#) }.count >= 20, "\(back)")
    }

    @Test func `an answer that a client has not taken whole is no answer when it resets`() throws {
        let manager = try RunningManager(scratch.path)
        let text = String(repeating: "x", count: 250_000)
        for first in stride(from: 0, to: 120, by: 30) {
            let tasks = (first..<first + 30).map { #"{"task_id":"t\#($0)","phase":"p","config":{"text":"\#(text)"}}"# }
            try #require(
                try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]").status == 200)
        }
        let caller = try HTTPCaller(manager.http)
        caller.send("POST", "/claims", #"{"worker":"w","count":120}"#)
        #expect(
            try eventuallyBlocking { try HTTPCaller.call(manager.http, "GET", "/status")["assigned"] as? Int == 120 })
        caller.reset()
        #expect(
            try eventuallyBlocking { try HTTPCaller.call(manager.http, "GET", "/status")["pending"] as? Int == 120 })
    }

    @Test func `clients that leave and ask again at once never hold an attempt that was taken away`() throws {
        let manager = try RunningManager(scratch.path)
        for round in 0..<30 {
            let leaving = try HTTPCaller(manager.http)
            leaving.send("POST", "/claims", #"{"worker":"w","wait_s":20}"#, headers: ["Idempotency-Key": "k\(round)"])
            try add(manager, 1, from: round)
            leaving.shut()
            let got = try names(claim(manager, "k\(round)"))
            #expect(got.count == 1)
            let name = try #require(got.first).split(separator: ".")
            let attempt = try #require(Int(name[1]))
            let task = try HTTPCaller.call(manager.http, "GET", "/tasks/\(name[0])")
            #expect(task["status"] as? String == "assigned" && task["attempt"] as? Int == attempt, "\(round)")
            try report(manager, String(name[0]), "complete", attempt)
        }
    }
}
