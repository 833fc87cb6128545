import Foundation
import Glibc
import TestSupport
import Testing

@Suite("Where a result comes from", .serialized) struct ProvenanceTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    /// One way for a program to end, and what the journal is to say of it.
    struct Ending: Sendable, CustomTestStringConvertible {
        let name: String
        let script: String
        var timeout: String?
        let type: String
        var exitCode: Int?
        var signal: Int?
        var error: String?
        var leastSeconds = 0.0
        var testDescription: String { name }
    }

    static let endings = [
        Ending(
            name: "success", script: #"echo '{"y":1}' > "$MANAGER_RESULT_FILE"; sleep 0.2"#, type: "completed",
            exitCode: 0, leastSeconds: 0.2),
        Ending(name: "success without a result", script: "true", type: "completed", exitCode: 0),
        Ending(
            name: "failure", script: "echo why >&2; exit 3", type: "failed", exitCode: 3, error: "exit status 3: why"),
        Ending(
            name: "a result that is none", script: #"echo nonsense > "$MANAGER_RESULT_FILE""#, type: "failed",
            exitCode: 0, error: "the result file holds no JSON object"),
        Ending(
            name: "a signal", script: "kill -SEGV $$; sleep 10", type: "failed", signal: 11,
            error: "killed by signal 11 (SIGSEGV)"),
        Ending(
            name: "a timeout", script: "exec sleep 1000", timeout: "300ms", type: "failed", signal: 15,
            error: "timed out after 0.3 s", leastSeconds: 0.3),
        Ending(
            name: "a timeout that the program answers", script: "trap 'exit 7' TERM; while :; do sleep 0.02; done",
            timeout: "300ms", type: "failed", exitCode: 7, error: "timed out after 0.3 s", leastSeconds: 0.3),
    ]

    @Test(arguments: endings) func `the journal says what ran where, how it ended and what it used`(
        ending: Ending
    ) throws {
        let timeout = ending.timeout.map { "  timeout: \($0)\n" } ?? ""
        let run = try SweepRun("p:\n\(timeout)  max_retries: 0\n  combinations:\n    - n: [1]\n", in: scratch.path)
        let manager = try run.start([], script: ending.script, "program")
        let (status, said) = (manager.wait(), try manager.output())
        #expect(status == (ending.type == "completed" ? 0 : 1), "\(said)")
        let events = try run.events("completed") + run.events("failed")
        let event = try #require(events.first)
        #expect(events.count == 1)
        #expect(event["type"] as? String == ending.type)
        #expect(event["host"] as? String == ProcessInfo.processInfo.hostName)
        let program = try #require(event["program"] as? String)
        #expect(program.hasPrefix("sh -c ") && program.utf8.count <= 256)
        #expect(event["exit_code"] as? Int == ending.exitCode)
        #expect(event["signal"] as? Int == ending.signal)
        #expect(event["error"] as? String == nil || event["error"] as? String != "")
        if let error = ending.error { #expect((event["error"] as? String)?.hasPrefix(error) == true) }
        let seconds = try #require(event["duration_s"] as? Double)
        #expect(seconds >= ending.leastSeconds && seconds < 60)
        // A shell is smaller than the manager, whose memory it began with: its own is not known.
        #expect(event["max_rss_bytes"] == nil)
        try checkFold(of: run, status: ending.type == "completed" ? "complete" : "failed", error: ending.error)
    }

    @Test func `the memory of a program is shown where it is more than the manager had`() throws {
        let run = try SweepRun("p:\n  combinations:\n    - mib: [400]\n", in: scratch.path)
        let program = ["python3", "-c", "x = bytearray({mib} << 20)"]
        let ended = try VerbRun(["run", scratch.path + "/sweep.yaml", "--data-dir", run.data, "--"] + program)
        #expect(ended.status == 0, "\(ended.output)\(ended.errors)")
        let bytes = try #require(try run.events("completed").first?["max_rss_bytes"] as? Int)
        #expect(bytes > 400 << 20 && bytes < 500 << 20)
        let shown = try RunningManager.verb("show", "p_0_42", "--data-dir", run.data).output
        #expect(shown.contains("max rss     4"))
    }

    /// Folds the journal's own lines: what comes out is what the run has saved.
    private func checkFold(of run: SweepRun, status: String, error: String?) throws {
        let state = try #require(try run.text("manager_state.json"))
        #expect(try RunningManager.verb("replay", "--data-dir", run.data).output == state)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(state.utf8)) as? [String: Any])
        let task = try #require((object["tasks"] as? [String: [String: Any]])?["p_0_42"])
        #expect(task["status"] as? String == status)
        if let error { #expect((task["last_error"] as? String)?.hasPrefix(error) == true) }
    }

    @Test func `what could not be started says so, with its command line and no end`() throws {
        // Executable, so that it is not refused before; but what is to run it is missing.
        let script = scratch.path + "/script"
        try "#!/no/such/interpreter\n".write(toFile: script, atomically: true, encoding: .utf8)
        try #require(chmod(script, 0o755) == 0)
        let run = try SweepRun(
            "p:\n  max_retries: 0\n  command: ['\(script)', '{n}']\n  combinations:\n    - n: [1]\n", in: scratch.path)
        #expect(try run.start([], script: "true").wait() == 1)
        let event = try #require(try run.events("failed").first)
        let why = "it is not executable (chmod +x), or the interpreter it names is missing"
        #expect(event["error"] as? String == "cannot start \(script): \(why)")
        #expect(event["program"] as? String == "\(script) 1")
        #expect(event["host"] as? String == ProcessInfo.processInfo.hostName)
        #expect(event["exit_code"] == nil && event["signal"] == nil && event["max_rss_bytes"] == nil)
        #expect(event["duration_s"] as? Double == 0)
    }

    @Test func `an end that stood in the outbox when the run was killed keeps all that was known of it`() throws {
        let run = try SweepRun("p:\n  combinations:\n    - n: [1]\n", in: scratch.path)
        let killed = try run.start([], script: "cd '\(run.data)' && : > up && exec sleep 1000")
        #expect(try eventuallyBlocking { try run.text("up") != nil })
        killed.end(by: SIGKILL)
        try run.write(
            #"""
            {"task":"p_0_42","attempt":1,"worker":"local0","outcome":"complete","result":{"y":2},"host":"there",\#
            "program":"train 1","exit_code":0,"duration_s":12.5,"max_rss_bytes":1048576}
            """#, to: ".outbox/p_0_42.1.outcome.json")
        #expect(try run.start([], script: "exit 1").wait() == 0)
        let event = try #require(try run.events("completed").first)
        #expect(event["host"] as? String == "there" && event["program"] as? String == "train 1")
        #expect(event["exit_code"] as? Int == 0 && event["duration_s"] as? Double == 12.5)
        #expect(event["max_rss_bytes"] as? Int == 1_048_576 && event["attempt"] as? Int == 1)
        #expect(try run.text("final_results.csv")?.contains("p_0_42,1,p,42,1,2\n") == true)
    }
}
