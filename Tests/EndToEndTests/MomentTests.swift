import EventLog
import Foundation
import Projections
import TestSupport
import Testing

/// Verbs and calls asked about a moment, against the real binary, while it runs, rotates and compacts.
@Suite("Any moment", .serialized)
struct MomentTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst())
    }

    private func get(_ manager: RunningManager, _ path: String) throws -> HTTPCaller.Answer {
        try HTTPCaller.call(manager.http, "GET", path)
    }

    /// A manager with 60 tasks in tiny segments, half of which have been run; one failed once.
    private func worked() throws -> RunningManager {
        let manager = try RunningManager(data, ["--segment-bytes", "3000", "--snapshot-every", "1h"])
        let tasks = (0..<60).map { #"{"task_id":"t\#($0)","phase":"p\#($0 % 2)","config":{"x":\#($0)}}"# }
        let body = "[\(tasks.joined(separator: ","))]"
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
        for index in 0..<30 {
            let claim = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w\#(index % 3)"}"#)
            try #require(claim.status == 200)
            let report = #"{"worker":"w\#(index % 3)","attempt":1,"result":{"y":\#(index)},"error":"boom"}"#
            let verb = index == 5 ? "fail" : "complete"
            try #require(
                try HTTPCaller.call(manager.http, "POST", "/tasks/t\(index)/\(verb)", report).status == 200)
            if index == 5 {
                let again = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w2"}"#)
                try #require(again.body.contains("\"t5\""))
                let done = #"{"worker":"w2","attempt":2,"result":{"y":5}}"#
                try #require(try HTTPCaller.call(manager.http, "POST", "/tasks/t5/complete", done).status == 200)
            }
        }
        return manager
    }

    @Test("verbs and calls tell the same of every seq, with checkpoints written beside, rotation and compaction")
    func everySeq() throws {
        let manager = try worked()
        #expect(try eventuallyBlocking { try !DataFiles.names(data + "/checkpoints", prefix: "").isEmpty })
        #expect(try HTTPCaller.call(manager.http, "POST", "/compact", "{}").status == 200)
        let last = try #require(try get(manager, "/status")["seq"] as? Int)
        #expect(last > 100)
        for seq in [0, 1, 33, 61, 64, 90, last - 1] {
            let whole = try verb("replay", "--seq", "\(seq)", "--full").output
            #expect(try verb("replay", "--seq", "\(seq)").output == whole, "seq \(seq)")
            #expect(try get(manager, "/state?seq=\(seq)").body == whole, "seq \(seq)")
            let status = try get(manager, "/status?seq=\(seq)")
            #expect(status["seq"] as? Int == seq)
            #expect(
                status["total"] as? Int == (try verb("status", "--seq", "\(seq)", "--json").object()["total"] as? Int))
            let shown = try verb("show", "t5", "--json", "--seq", "\(seq)")
            #expect(try get(manager, "/tasks/t5?seq=\(seq)").status == (shown.status == 0 ? 200 : 404))
            if shown.status == 0 {
                #expect(try get(manager, "/tasks/t5?seq=\(seq)").body == shown.output.dropLast())
                #expect(whole.contains("\"t5\":" + shown.output.dropLast()))
            }
            let workers = try get(manager, "/workers?seq=\(seq)").body
            #expect(try verb("workers", "--json", "--seq", "\(seq)").output == workers + "\n")
            let results = try get(manager, "/results?seq=\(seq)").body
            #expect(try verb("results", "--json", "--seq", "\(seq)").output == results)
            let tasks = try verb("tasks", "--json", "--seq", "\(seq)").output.split(separator: "\n")
            #expect(
                try get(manager, "/tasks?seq=\(seq)").body.hasPrefix(#"{"tasks":[\#(tasks.joined(separator: ","))"#))
            let history = try verb("history", "t5", "--json", "--seq", "\(seq)").output.split(separator: "\n")
            if !history.isEmpty {
                let events = #"{"events":[\#(history.joined(separator: ","))]}"#
                #expect(try get(manager, "/tasks/t5/history?seq=\(seq)").body == events)
            }
            let events = try get(manager, "/events?seq=\(seq)").body
            #expect(try verb("tail", "--from", "1", "--json", "--seq", "\(seq)").output == events)
        }
        #expect(try get(manager, "/events?seq=3&follow=true").status == 400)
        #expect(try get(manager, "/status?at=tomorrow").status == 400)
        #expect(try get(manager, "/status?at=now&seq=3").status == 400)
        #expect(try get(manager, "/tasks?at=2000-01-01").body == #"{"tasks":[],"next":null}"#)
        #expect(manager.stop() == 0)
    }

    @Test("history tells where the time went, why tells the causes, diff what changed by phase and worker")
    func words() throws {
        let manager = try worked()
        let history = try verb("history", "t5").output
        #expect(history.contains("failed") && history.contains("retry") && history.contains("boom"), "\(history)")
        #expect(history.contains("2 attempts: waiting ") && history.contains("wasted in 1 failed or lost"))
        let why = try verb("why", "t5").output.split(separator: "\n")
        #expect(why.first?.contains("t5 is complete since ") == true, "\(why)")
        #expect(why.first?.contains("because attempt 2 on w2 completed after ") == true)
        #expect(
            why.contains { $0.contains("because attempt 1 on w2 failed after") && $0.contains("(boom) and retries") })
        #expect(why.last?.contains("because it was added to phase p1 over HTTP, seq ") == true)
        #expect(try verb("why", "t5", "--seq", "63").output.contains("t5 is pending since "))
        let diff = try verb("diff", "1", "now").output
        #expect(diff.contains("completed  30  t0, t1"), "\(diff)")
        #expect(diff.contains("phase  added  assigned  completed  failed  requeued\np0        30"))
        #expect(diff.contains("worker  assigned  completed  failed  requeued\nw0"))
        #expect(manager.stop() == 0)
    }

    @Test("a stale attempt is told with how long it was silent, and the limit")
    func stale() throws {
        try HandWrittenJournal.write(
            [
                .init(
                    secondsAgo: 10_000,
                    [
                        .added(
                            id: "t",
                            spec: .init(
                                phase: "p", config: Array("{}".utf8), outputDirectories: ["r"]), counter: nil)
                    ]),
                .init(secondsAgo: 7_500, [.assigned(.init(task: "t", worker: "gpu3", attempt: 1))]),
            ], to: data)
        let manager = try RunningManager(data, ["--stale-after", "2h"])
        #expect(
            try verb("why", "t").output.contains(
                "because attempt 1 on gpu3 went stale (2.1 h without a sign, limit 2 h): requeued by the timer, seq "))
        #expect(try verb("history", "t").output.contains("of which 2.1 h wasted in 1 failed or lost"))
        #expect(manager.stop() == 0)
    }
}
