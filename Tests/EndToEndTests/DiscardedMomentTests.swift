import EventLog
import Foundation
import TestSupport
import Testing

/// Tasks and moments of before a discarding, asked of the real binary.
@Suite("What is told of discarded history", .serialized)
struct DiscardedMomentTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst())
    }

    private func post(_ manager: RunningManager, _ path: String, _ body: String) throws -> HTTPCaller.Answer {
        let answer = try HTTPCaller.call(manager.http, "POST", path, body)
        #expect(answer.status == 200, "\(path): \(answer.body)")
        return answer
    }

    private func add(_ manager: RunningManager, _ numbers: ClosedRange<Int>) throws {
        for number in numbers {
            _ = try post(manager, "/tasks", #"{"task_id":"t\#(number)","phase":"p","config":{"i":\#(number)}}"#)
        }
    }

    private func claim(_ manager: RunningManager, _ id: String, by worker: String = "w") throws {
        #expect(try post(manager, "/claims", #"{"worker":"\#(worker)"}"#).body.contains("\"\(id)\""))
    }

    /// t1 is complete, t2 has failed once and waits, t3 runs, t4 and later wait; then all of that is discarded but the
    /// newest events; t2 is claimed again, t5 is claimed, t99 added. Returns the last event that is gone.
    private func discarded() throws -> (manager: RunningManager, last: Int) {
        let manager = try RunningManager(data, ["--segment-bytes", "2000"])
        try add(manager, 1...20)
        try claim(manager, "t1")
        _ = try post(manager, "/tasks/t1/complete", #"{"worker":"w","attempt":1,"result":{"acc":0.8125}}"#)
        try claim(manager, "t2")
        _ = try post(manager, "/tasks/t2/fail", #"{"worker":"w","attempt":1,"error":"boom"}"#)
        _ = try post(manager, "/tasks/t2/hold", "{}")
        try claim(manager, "t3")
        try add(manager, 21...40)
        let run = try verb("compact", "--discard-before", "now", "--json")
        #expect(run.status == 0, "\(run.errors)")
        let gone = try #require(try run.object()["discarded"] as? [String: Any])
        let last = try #require(gone["last_seq"] as? Int)
        _ = try post(manager, "/tasks/t2/release", "{}")
        try claim(manager, "t2", by: "v")
        try claim(manager, "t4")
        _ = try post(manager, "/tasks/t4/complete", #"{"worker":"w","attempt":1,"result":{"acc":0.4375}}"#)
        try add(manager, 99...99)
        return (manager, last)
    }

    @Test("history and why of a task begin with what the state where history begins says of it")
    func stories() throws {
        let (manager, last) = try discarded()
        let gone = "was discarded on 20"
        let complete = try verb("history", "t1")
        #expect(complete.status == 0, "\(complete.errors)")
        #expect(complete.output.contains(gone) && complete.output.contains("(seq \(last))"), "\(complete.output)")
        #expect(complete.output.contains("attempt 1 on w completed after "), "\(complete.output)")
        #expect(complete.output.contains("baseline") && complete.output.contains("\n1 attempt: "), "\(complete.output)")
        let why = try verb("why", "t1").output
        #expect(
            why.hasPrefix("t1 is complete since ") && why.contains(gone) && why.contains("attempt 1 on w"), "\(why)")

        let failed = try verb("history", "t2").output
        #expect(failed.contains("attempt 1 on w failed after ") && failed.contains("(boom)"), "\(failed)")
        #expect(failed.contains("2 attempts: ") && failed.contains("wasted in 1 failed or lost"), "\(failed)")
        let causes = try verb("why", "t2").output.split(separator: "\n")
        #expect(causes.count == 3, "\(causes)")
        #expect(causes.first?.contains("because v claimed attempt 2") == true, "\(causes)")
        #expect(
            causes.last?.hasPrefix("  held from before ") == true && causes.last?.contains(gone) == true, "\(causes)")

        #expect(try verb("why", "t3").output.hasPrefix("t3 is assigned since "))
        let pending = try verb("why", "t5").output
        #expect(pending.hasPrefix("t5 is pending since before ") && pending.contains("added 20"), "\(pending)")
        let show = try verb("show", "t2").output
        #expect(show.contains("attempt 1\n") && show.contains("boom") && show.contains("attempt 2\n"), "\(show)")
        #expect(show.contains(gone), "\(show)")

        // A task whose events are all there is told as ever.
        let later = try verb("history", "t99").output
        #expect(later.contains("added") && !later.contains("discarded"), "\(later)")

        let lines = try verb("history", "t1", "--json")
        #expect(lines.status == 0 && lines.output.isEmpty && lines.errors.contains(gone), "\(lines.errors)")
        let answer = try HTTPCaller.call(manager.http, "GET", "/tasks/t1/history")
        #expect(answer.status == 200 && (answer["events"] as? [Any])?.isEmpty == true, "\(answer.body)")
        let baseline = try #require(answer["baseline"] as? [String: Any])
        #expect(baseline["seq"] as? Int == last && baseline["discarded_at"] is String)
        #expect((baseline["task"] as? [String: Any])?["status"] as? String == "complete")
        #expect(try HTTPCaller.call(manager.http, "GET", "/tasks/t99/history")["baseline"] == nil)
        #expect(try HTTPCaller.call(manager.http, "GET", "/tasks/nobody/history").status == 404)
        #expect(try verb("history", "nobody").errors.contains("there is no task nobody"))
        #expect(try verb("why", "nobody").status == 1)
        #expect(try verb("history", "t1", "--seq", "\(last)").output.contains("complete"))
        #expect(manager.stop() == 0)
    }

    @Test("moments before it are answered with what went and when, by every verb and call")
    func moments() throws {
        let before = LogTime.now()
        let (manager, last) = try discarded()
        for moment in [["--seq", "5"], ["--at", "\(before)"], ["--at", "-1h"], ["--seq", "\(last - 1)"]] {
            for name in [
                ["history", "t3"], ["show", "t3"], ["show", "t3", "--json"], ["why", "t3"], ["tail"],
                ["tail", "--json"],
                ["results"], ["status"], ["tasks"], ["workers"], ["replay"], ["logs", "t3"],
                ["tail", "--url", manager.http],
            ] {
                let run = try VerbRun([name[0], "--data-dir", data] + name.dropFirst() + moment)
                #expect(run.status == 1 && run.output.isEmpty, "\(name) \(moment): \(run.output)")
                #expect(
                    run.errors.contains("was discarded on 20") && run.errors.contains("(seq \(last))"),
                    "\(name) \(moment): \(run.errors)")
            }
            let text = moment[1]
            for ends in [[text, "now"], [text, "\(last + 1)"], [text, "now", "--json"]] {
                let run = try VerbRun(["diff"] + ends + ["--data-dir", data])
                #expect(run.status == 1 && run.output.isEmpty, "\(ends): \(run.output)")
                #expect(run.errors.contains("was discarded on 20"), "\(ends): \(run.errors)")
            }
            let query = "?\(moment[0].dropFirst(2))=\(text)"
            for path in [
                "tasks/t3", "tasks/t3/history", "tasks/t3/log", "results", "events", "status", "tasks", "state",
            ] {
                let answer = try HTTPCaller.call(manager.http, "GET", "/\(path)\(query)")
                #expect(answer.status == 410, "\(path)\(query): \(answer.status) \(answer.body.prefix(200))")
                #expect(answer.body.contains("was discarded on 20"), "\(path)\(query): \(answer.body.prefix(200))")
            }
        }
        let both = try verb("diff", "0", "20", "--json")
        #expect(both.status == 1 && both.output.isEmpty && both.errors.contains("was discarded"), "\(both.errors)")
        // The first moment of what is there is answered.
        #expect(try verb("diff", "\(last)", "now").output.contains("t99"))
        #expect(try verb("show", "t3", "--seq", "\(last)").output.contains("assigned"))
        #expect(try verb("history", "t3", "--seq", "\(last)").status == 0)
        #expect(try verb("tail", "--seq", "\(last + 1)").output.split(separator: "\n").count == 1)
        #expect(try HTTPCaller.call(manager.http, "GET", "/tasks/t3?seq=\(last)").status == 200)
        #expect(try HTTPCaller.call(manager.http, "GET", "/events?seq=\(last + 1)").status == 200)
        #expect(manager.stop() == 0)
    }

    @Test("results that went with their events are told, and where they are")
    func results() throws {
        let (manager, last) = try discarded()
        for name in [["results"], ["results", "--json"], ["results", "--csv"]] {
            let run = try VerbRun(name + ["--data-dir", data])
            #expect(run.status == 0 && run.output.contains("0.4375") && !run.output.contains("0.8125"), "\(run.output)")
            #expect(
                run.errors.contains("1 task has its result from before") && run.errors.contains("(seq \(last))")
                    && run.errors.contains("final_results.csv"), "\(run.errors)")
        }
        let answer = try HTTPCaller.call(manager.http, "GET", "/results")
        #expect(answer.headers["manager-warning"]?.contains("final_results.csv") == true, "\(answer.headers)")
        #expect(manager.stop() == 0)

        // They are told from a later state where the one that history begins with is damaged.
        let baseline = data + "/journal/baseline-\(last).json.gz"
        var bytes = try readWholeFile(baseline, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 1
        try Data(bytes).write(to: URL(fileURLWithPath: baseline))
        let run = try verb("results", "--csv")
        #expect(run.status == 0 && run.output.contains("0.4375"), "\(run.errors)")
        #expect(run.errors.contains("history up to seq \(last) was discarded (seq \(last)): 1 task"), "\(run.errors)")
        #expect(try verb("why", "t1").status == 2)
        #expect(try verb("why", "t99").status == 0)
    }
}
