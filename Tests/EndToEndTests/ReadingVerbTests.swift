import Foundation
import TestSupport
import Testing

@Suite("Verbs that read", .serialized)
struct ReadingVerbTests {
    private let scratch: TemporaryDirectory
    private let data: String

    /// One task complete, one failed for good, one that waits for the phase of the failed one.
    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
        let sweep = scratch.path + "/s.yaml"
        try """
        p:
          max_retries: 1
          combinations:
            - a: [1, 2]
        q:
          after: [p]
          combinations:
            - a: [1]
        """.write(toFile: sweep, atomically: true, encoding: .utf8)
        let program =
            #"echo out; if [ $0 = 2 ]; then echo bad >&2; exit 3; fi; echo '{{"y":0.5}}' > $MANAGER_RESULT_FILE"#
        let run = try VerbRun(["run", sweep, "--data-dir", data, "--", "sh", "-c", program, "{a}"])
        try #require(run.status == 1, "\(run.output)\(run.errors)")
    }

    private func verb(_ arguments: String..., environment: [String: String] = [:]) throws -> VerbRun {
        try VerbRun(arguments + ["--data-dir", data], environment: environment)
    }

    @Test("tasks lists what agrees with its filters, as a table and as lines")
    func tasks() throws {
        let table = try verb("tasks").output.split(separator: "\n")
        #expect(table.count == 4)
        #expect(table[0].hasPrefix("task    status"))
        #expect(table[2].contains("failed") && table[2].contains("bad"))
        #expect(table[3].contains("waits for p"))
        let failed = try verb("tasks", "--status", "failed", "--json").object()
        #expect(failed["task_id"] as? String == "p_1_42")
        #expect(failed["retry_count"] as? Int == 2)
        #expect(try verb("tasks", "--phase", "q", "--worker", "local0").output == "no task\n")
        #expect(try verb("tasks", "--limit", "1").output.contains("… and 2 more"))
        #expect(try verb("tasks", "--status", "odd").status == 64)
        let early = try verb("tasks", "--seq", "3", "--json").output.split(separator: "\n")
        #expect(early.count == 2 && early.allSatisfy { $0.contains("\"status\":\"pending\"") })
    }

    @Test("show tells of every attempt: its program, its end, its error")
    func show() throws {
        let text = try verb("show", "p_1_42").output
        #expect(text.components(separatedBy: "\nattempt ").count == 3)
        for part in ["status        failed", "exit code   3", "outcome     failed", "host ", "program "] {
            #expect(text.contains(part), "\(part) is missing: \(text)")
        }
        #expect(try verb("show", "p_0_42").output.contains(#"result      {"y":0.5}"#))
        #expect(try verb("show", "p_0_42", "--json").object()["has_result"] as? Bool == true)
        #expect(try verb("show", "p_0_42", "--seq", "2", "--json").object()["status"] as? String == "pending")
        #expect(try verb("show", "nobody").status == 1)
    }

    @Test("workers tells what was done by phase, in the verb and over HTTP alike")
    func workersByPhase() async throws {
        let text = try verb("workers", "--json").output
        let list = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [[String: Any]])
        let worker = try #require(list.first)
        let members = [
            "worker", "state", "task", "attempt", "last_seen", "completed", "failed", "busy_s", "mean_s", "p50_s",
            "p95_s",
        ]
        let places = try members.map { try #require(text.range(of: "\"\($0)\":")).lowerBound }
        #expect(places == places.sorted(), "the contract's members come first, in its order")
        #expect(worker["lost"] as? Int == 0)
        let share = try #require(worker["busy_share"] as? Double)
        #expect(share > 0 && share <= 1)
        let phases = try #require(worker["phases"] as? [String: [String: Any]])
        #expect(phases.keys.sorted() == ["p"])
        let p = try #require(phases["p"])
        #expect(p["completed"] as? Int == 1 && p["failed"] as? Int == 2 && p["lost"] as? Int == 0)
        for name in ["busy_s", "mean_s", "p50_s", "p95_s"] {
            #expect(p[name] as? Double == worker[name] as? Double, "\(name)")
        }
        let table = try verb("workers", "--phase", "p").output.split(separator: "\n")
        #expect(table.count == 2 && table[0].hasPrefix("worker  phase  completed  failed  lost"))
        #expect(table[1].hasPrefix("local0  p              1       2     0"))
        #expect(try verb("workers", "--phase", "q").output == "no worker has ended a task of q yet\n")
        #expect(try verb("workers", "--phase", "q", "--json").output == "[]\n")
        let unknown = try verb("workers", "--phase", "x")
        #expect(unknown.status == 1 && unknown.errors == "manager: there is no phase x\n")

        let manager = try RunningManager(data)
        defer { manager.kill() }
        let answer = try HTTPCaller.call(manager.http, "GET", "/workers")
        #expect(answer.body + "\n" == (try verb("workers", "--json").output))
    }

    @Test("an attempt that an operator ended is told as that, and its time was busy")
    func endedByOperator() throws {
        let manager = try RunningManager(data)
        defer { manager.kill() }
        let body = #"{"task_id":"x","phase":"r","config":{}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
        for end in ["requeue", "cancel"] {
            let claim = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#)
            #expect(claim.status == 200, "\(claim.body)")
            #expect(try verb(end, "x").status == 0)
        }
        let text = try verb("show", "x").output
        #expect(text.contains("outcome     operator (requeued)"), "\(text)")
        #expect(text.contains("outcome     operator (cancelled)"), "\(text)")
        let attempts = try #require(try verb("show", "x", "--json").object()["attempts"] as? [[String: Any]])
        #expect(attempts.map { $0["outcome"] as? String } == ["operator", "operator"])
        let list = try JSONSerialization.jsonObject(with: Data(try verb("workers", "--json").output.utf8))
        let worker = try #require((list as? [[String: Any]])?.first { $0["worker"] as? String == "w" })
        #expect(try #require(worker["busy_s"] as? Double) > 0 && worker["mean_s"] is NSNull)
    }

    @Test("workers tells who did what; why and diff tell what happened")
    func workers() throws {
        let json = try JSONSerialization.jsonObject(with: Data(try verb("workers", "--json").output.utf8))
        let worker = try #require((json as? [[String: Any]])?.first)
        #expect(worker["worker"] as? String == "local0" && worker["completed"] as? Int == 1)
        #expect(worker["failed"] as? Int == 2)
        #expect(try verb("workers").output.contains("local0  idle"))
        let why = try verb("why", "q_2_42").output
        #expect(why.contains("waits for p (1 failed), which can not become complete"))
        #expect(try verb("why", "p_1_42").output.contains("attempt 2 on local0 failed"))
        let diff = try verb("diff", "0", "1000", "--json").object()
        #expect(diff["added"] as? [String] == ["p_0_42", "p_1_42", "q_2_42"])
        #expect(diff["completed"] as? [String] == ["p_0_42"])
        #expect(diff["failed"] as? [String] == ["p_1_42"] && diff["cancelled"] as? [String] == [])
        #expect(try verb("diff", "-1h", "now").output.contains("added      3"))
        #expect(try verb("diff", "now").status == 64)
    }

    @Test("results gives rows from the journal, also when the files are gone")
    func results() throws {
        let file = try String(contentsOfFile: data + "/final_results.csv", encoding: .utf8)
        try FileManager.default.removeItem(atPath: data + "/final_results.csv")
        #expect(try verb("results", "--csv").output == file)
        #expect(try verb("results").output.contains("p_0_42        1  0.5"))
        #expect(try verb("results", "--json").output.contains(#""result":{"y":0.5}"#))
        #expect(try verb("results", "--phase", "q").output == "no result yet\n")
        #expect(try verb("results", "--by", "a").status == 1)
        #expect(try verb("results", "--by", "a", "--json").status == 64)
        #expect(try verb("results", "--phase", "none").status == 1)
        #expect(try verb("results", "--seq", "4", "--json").output == "[]\n")
        #expect(try verb("results", "--csv", "--json").status == 64)
    }

    @Test("logs shows the latest attempt's output, or the one asked for")
    func logs() throws {
        #expect(try verb("logs", "p_1_42").output.contains("out\n"))
        #expect(try verb("logs", "p_1_42", "--attempt", "1", "-f").output.contains("bad\n"))
        let none = try verb("logs", "q_2_42")
        #expect(none.status == 1 && none.errors.contains("never assigned"))
        #expect(try verb("logs", "p_1_42", "--attempt", "9").status == 1)
        #expect(try verb("logs", "p_1_42", "--seq", "3").errors.contains("never assigned"))
        #expect(try verb("logs", "p_1_42", "-f", "--at", "now").status == 64)
    }

    @Test("wait ends when nothing can go on: 0 if all are complete, else 1")
    func wait() throws {
        #expect(try verb("wait", "p_0_42").status == 0)
        let all = try verb("wait")
        #expect(all.status == 1)
        #expect(all.output == "1/3 complete\np_1_42: failed\nq_2_42: pending, waits for p\n")
        #expect(try verb("wait", "--phase", "p").status == 1)
        #expect(try verb("wait", "nobody").status == 1)
        #expect(try verb("retry", "p_1_42").status == 0)
        let early = try verb("wait", "p_1_42", "--timeout", "100ms")
        #expect(early.status == 1 && early.errors.contains("not done after 100ms"))
    }

    @Test("wait sees a running manager complete its task; verbs with a running manager read the same files")
    func waitForManager() throws {
        #expect(try verb("retry", "p_1_42").status == 0)
        let manager = try RunningManager(data)
        let waiting = Process()
        waiting.executableURL = RunningManager.binary
        waiting.arguments = ["wait", "p_1_42", "--timeout", "30s", "--data-dir", data]
        waiting.standardOutput = FileHandle.nullDevice
        try waiting.run()
        _ = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#)
        #expect(waiting.isRunning)
        let done = #"{"worker":"w","attempt":3,"result":{"y":1}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/p_1_42/complete", done).status == 200)
        waiting.waitUntilExit()
        #expect(waiting.terminationStatus == 0)
        #expect(try verb("results", "--csv").output.contains("p_1_42,3,p,42,2,1"))
        #expect(try verb("status", "--json").object()["complete"] as? Int == 2)
        #expect(manager.stop() == 0)
    }

    @Test("every verb explains itself with an example")
    func help() throws {
        let help = try VerbRun(["--help"]).output
        let verbs = help.split(separator: "\n").drop { !$0.hasPrefix("SUBCOMMANDS") }.dropFirst()
            .prefix { $0.hasPrefix("  ") && !$0.hasPrefix("  See") }
            .filter { !$0.hasPrefix("   ") }.compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(verbs.contains("submit") && verbs.contains("why"))
        for verb in verbs {
            let text = try VerbRun([verb, "--help"]).output
            #expect(text.contains("Example"), "\(verb)")
            #expect(text.contains("manager \(verb)"), "\(verb)")
        }
    }
}
