import EventLog
import Glibc
import Projections
import TestSupport
import Testing

@testable import manager

@Suite(.serialized) struct WorkerProgramTests {
    private let bench: WorkerBench

    init() throws { bench = try WorkerBench() }

    private func run(
        _ command: [String], _ change: (inout ClaimedTask) -> Void = { _ in },
        control: ProgramControl = ProgramControl()
    ) async throws -> ProgramRunner.End {
        var task = benchTask(command: command)
        change(&task)
        return await (try bench.runner()).run(task, worker: "w", control: control)
    }

    private func shell(_ script: String, _ change: (inout ClaimedTask) -> Void = { _ in }) async throws
        -> ProgramRunner.End
    {
        try await run(["sh", "-c", script.replacing("{", with: "{{").replacing("}", with: "}}")], change)
    }

    private func failure(_ end: ProgramRunner.End) -> String {
        guard case .failed(let error) = end.outcome else { return "it did not fail" }
        return error
    }

    @Test func `a program sees its arguments, its environment and its config file`() async throws {
        let script = """
            import json, os, sys
            seen = dict(arguments=sys.argv[1:], file=json.load(open(os.environ["MANAGER_CONFIG_FILE"])),
                variables={{k: v for k, v in os.environ.items()
                           if k.startswith("MANAGER_") and not k.endswith("_FILE")}},
                extra=os.environ["EXTRA"], stdin=sys.stdin.read(), group=os.getpgid(0) == os.getpid())
            json.dump(seen, open(os.environ["MANAGER_RESULT_FILE"], "w"))
            """
        let end = try await run([
            "python3", "-c", script, "--width", "{width}", "{phase}/{task_id}.{attempt}", "{output_dir}",
        ]) {
            $0.environment = [.init(name: "EXTRA", value: "a b")]
        }
        guard case .complete(let bytes?) = end.outcome else {
            Issue.record("it came to \(end)")
            return
        }
        let out = "\(bench.path)/results_p"
        let seen = try StrictJSON(object: bytes)
        #expect(StrictJSON.text(of: try #require(seen["arguments"])) == #"["--width","4","p/t.1","\#(out)"]"#)
        #expect(StrictJSON.text(of: try #require(seen["file"])) == #"{"seed":42,"width":4}"#)
        #expect(StrictJSON.text(of: try #require(seen["extra"])) == "a b")
        #expect(StrictJSON.text(of: try #require(seen["stdin"])).isEmpty)
        #expect(StrictJSON.text(of: try #require(seen["group"])) == "true")
        let variables = try StrictJSON(object: try #require(seen["variables"]))
        #expect(
            Dictionary(uniqueKeysWithValues: variables.members.map { ($0.name, StrictJSON.text(of: $0.value)) }) == [
                "MANAGER_TASK_ID": "t", "MANAGER_PHASE": "p", "MANAGER_SEED": "42", "MANAGER_ATTEMPT": "1",
                "MANAGER_OUTPUT_DIR": out, "MANAGER_CONFIG": #"{"seed":42,"width":4}"#,
                "MANAGER_OUTBOX": bench.outbox.directory,
            ])
    }

    @Test func `both streams are in the log, and only standard error is in the error`() async throws {
        let end = try await shell("echo out; echo err >&2; exit 3")
        #expect(failure(end) == "exit status 3: err")
        #expect(end.report.exitCode == 3 && end.report.signal == nil)
        let lines = try #require(try bench.text("results_p/logs/t.1.log")).split(separator: "\n").sorted()
        #expect(lines == ["err", "out"])
    }

    @Test func `a signal is named`() async throws {
        let end = try await shell("echo last >&2; kill -9 $$")
        #expect(failure(end) == "killed by signal 9 (SIGKILL): last")
        #expect(end.report.signal == 9 && end.report.exitCode == nil)
    }

    @Test func `status 75 gives back, status 0 without a result completes`() async throws {
        #expect(try await shell("exit 75").outcome == .returned)
        #expect(try await shell("exit 0").outcome == .complete(result: nil))
    }

    @Test(arguments: [
        ("printf '{\"a\": 1' > $MANAGER_RESULT_FILE", "the result file holds no JSON object"),
        ("printf '{\"a\":1,\"a\":2}' > $MANAGER_RESULT_FILE", "the result file holds no JSON object"),
        (": > $MANAGER_RESULT_FILE", "the result file holds no JSON object"),
        ("head -c 5000000 /dev/zero > $MANAGER_RESULT_FILE", "the result file has 5000000 bytes"),
        ("mkdir $MANAGER_RESULT_FILE", "the result file is a directory"),
        ("mkfifo $MANAGER_RESULT_FILE", "the result file holds no JSON object"),
    ]) func `a bad result file fails the attempt with the reason`(script: String, reason: String) async throws {
        #expect(failure(try await shell(script)).hasPrefix(reason))
    }

    @Test func `what cannot be started fails with a sentence, and leaks no descriptor`() async throws {
        try bench.fileSystem.open(bench.path + "/plain", .createNew).close()
        let before = try bench.fileSystem.list("/proc/self/fd").count
        for _ in 0..<100 {
            #expect(
                failure(try await run(["no-such-program"])).hasPrefix(
                    "cannot start no-such-program: no such program in PATH"))
        }
        #expect(failure(try await run(["/no/such"])) == "cannot start /no/such: there is no such file")
        #expect(
            failure(try await run([bench.path + "/plain"])).hasSuffix(
                "is not executable (chmod +x), or the interpreter it names is missing"))
        #expect(
            failure(try await run(["true"]) { $0.workingDirectory = "/no/dir" })
                .hasPrefix("cannot start true: its working directory '/no/dir' cannot be entered"))
        #expect(
            failure(
                try await run(["echo", "{a}"]) {
                    $0.config = Array(#"{"a":"\#(String(repeating: "x", count: 200_000))"}"#.utf8)
                }
            )
            .hasPrefix("cannot start echo: its arguments are too long for the system"))
        #expect(failure(try await run(["p", "{nope}"])).hasPrefix("cannot start the program: unknown key {nope}"))
        // Other tests open files meanwhile; a leak would have left 200 or more.
        #expect(try bench.fileSystem.list("/proc/self/fd").count < before + 150)
    }

    @Test func `a timeout ends the whole group, also a grandchild that ignores SIGTERM`() async throws {
        let end = try await shell(
            #"""
            (trap "" TERM; echo $$ > pids; sh -c 'trap "" TERM; echo $$ >> pids; while :; do sleep 1; done') &
            echo late >&2; wait
            """#
        ) {
            $0.timeoutSeconds = 2
            $0.workingDirectory = bench.path
        }
        #expect(failure(end) == "timed out after 2 s: late")
        let pids = try #require(try bench.text("pids")).split(separator: "\n").compactMap { Int32($0) }
        #expect(pids.count == 2)
        for pid in pids { #expect(!isRunning(pid)) }
    }

    @Test func `a stop ends the program, and its own end no longer counts`() async throws {
        for (reason, outcome) in [(StopReason.superseded, ProgramOutcome?.none), (.drained, .returned)] {
            let control = ProgramControl()
            let script = "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"
            async let running = run(["sh", "-c", script], { $0.id = "\(reason)" }, control: control)
            #expect(try await eventually { try bench.text("results_p/logs/\(reason).1.log") == "up\n" })
            control.stop(reason)
            let end = try await running
            #expect(end.outcome == outcome)
            #expect(end.report.exitCode == 0)
        }
    }

    @Test func `a stop before the start starts nothing`() async throws {
        let control = ProgramControl()
        control.stop(.drained)
        #expect(try await run(["sh", "-c", "echo no > started"], control: control).outcome == .returned)
        #expect(try bench.text("results_p/logs/t.1.log") == nil)
    }

    @Test func `cancelling the caller ends the group and gives the task back`() async throws {
        let running = Task {
            try await shell("sleep 1000 & echo $! > pid; echo up; wait") { $0.workingDirectory = bench.path }
        }
        #expect(try await eventually { try bench.text("results_p/logs/t.1.log") == "up\n" })
        let pid = try bench.pid("pid")
        running.cancel()
        #expect(try await running.value.outcome == .returned)
        #expect(!isRunning(pid))
    }

    @Test func `what a program leaves running is ended, and its end stands`() async throws {
        let end = try await shell("sleep 1000 & echo $! > pid; echo '{}' > $MANAGER_RESULT_FILE") {
            $0.workingDirectory = bench.path
        }
        #expect(end.outcome == .complete(result: Array("{}".utf8)))
        #expect(!isRunning(try bench.pid("pid")))
    }

    @Test func `a process that left the group and holds the streams open holds nobody up`() async throws {
        let end = try await shell("setsid sleep 1000 & echo $! > pid; sleep 0.2; echo bye >&2; exit 4") {
            $0.workingDirectory = bench.path
        }
        let pid = try bench.pid("pid")
        #expect(failure(end) == "exit status 4: bye")
        #expect(isRunning(pid))
        kill(pid, SIGKILL)
    }

    @Test func `a program may close its streams and go on`() async throws {
        let end = try await shell("exec >&- 2>&-; sleep 0.2; exit 5")
        #expect(failure(end) == "exit status 5")
        #expect(end.report.durationSeconds >= 0.2)
    }

    @Test func `a flood of output arrives whole`() async throws {
        let end = try await shell(
            "head -c 20000000 /dev/zero; head -c 3000000 /dev/zero | tr '\\0' e >&2; echo end >&2; exit 1")
        #expect(failure(end).hasSuffix("eeeend"))
        #expect(failure(end).utf8.count <= 4096)
        #expect(try bench.fileSystem.metadata(bench.path + "/results_p/logs/t.1.log")?.sizeBytes == 23_000_004)
    }

    @Test func `a log that cannot be written harms nobody`() async throws {
        try bench.fileSystem.createDirectories(bench.path + "/results_p/logs")
        #expect(symlink("/dev/full", bench.path + "/results_p/logs/t.1.log") == 0)
        let end = try await shell("echo lost; echo err >&2; exit 6")
        #expect(failure(end) == "exit status 6: err")
        #expect(try #require(end.hostTrouble).contains("No space left on device; 9 bytes of output are not in the log"))
    }

    @Test func `memory, time and command line are reported`() async throws {
        // Twice what this process has had: its copy in the program's figure cannot be taken for the program's own.
        let bytes = try #require(OwnMemory.peakBytes()) * 2 + 100_000_000
        let program = "x = bytearray(\(bytes)); import time; time.sleep(0.1)"
        let end = try await run(["python3", "-c", program])
        #expect(end.outcome == .complete(result: nil))
        let reported = try #require(end.report.maxRSSBytes)
        #expect(reported > bytes && reported < bytes + 100_000_000)
        #expect(end.report.durationSeconds >= 0.1)
        #expect(end.report.program == "python3 -c '\(program)'")
        #expect(end.report.host == "here")
    }

    @Test func `a program that is smaller than this process has no figure rather than this process' own`() async throws
    {
        let end = try await run(["true"])
        #expect(end.outcome == .complete(result: nil) && end.report.maxRSSBytes == nil)
        #expect(OwnMemory.ofProgram(maxRSSBytes: 100 << 20, ownPeak: 50 << 20) == 100 << 20)
        #expect(OwnMemory.ofProgram(maxRSSBytes: 50 << 20, ownPeak: 50 << 20) == nil)
        #expect(OwnMemory.ofProgram(maxRSSBytes: 100 << 20, ownPeak: nil) == nil)
        #expect(OwnMemory.peakBytes(at: "/proc/self/nothing") == nil)
    }

    @Test func `what was printed before a complaint stands before it in the log`() async throws {
        for number in 1...50 {
            let task = benchTask("o\(number)")
            let runner = try bench.runner(command: ["sh", "-c", "echo before; echo complaint >&2; exit 1"])
            let end = await runner.run(task, worker: "w", control: ProgramControl())
            #expect(failure(end) == "exit status 1: complaint")
            #expect(try bench.text("results_p/logs/o\(number).1.log") == "before\ncomplaint\n")
        }
    }

    @Test func `while it runs its record names its process, and a killed child counts as that`() async throws {
        async let running = shell("exec sleep 1000")
        #expect(try await eventually { try bench.outboxNames().contains("t.1.running.json") })
        let text = try #require(try bench.text(".outbox/t.1.running.json"))
        let record = try RunningChild(json: Array(text.utf8))
        #expect(record.worker == "w" && record.reference == .init(task: "t", attempt: 1))
        #expect(record.bootID == (try ProcessTable().bootID()))
        #expect(ProcessTable().entry(record.pid)?.startTicks == record.startTicks)
        kill(record.pid, SIGINT)
        #expect(try await failure(running) == "killed by signal 2 (SIGINT)")
    }

    @Test func `many programs at once keep apart`() async throws {
        let runner = try bench.runner(command: ["sh", "-c", "echo {n} >&2; exit {n}"])
        try await withThrowingTaskGroup(of: (Int, String).self) { group in
            for number in 1...40 {
                let task = benchTask("t\(number)", config: #"{"n":\#(number)}"#)
                group.addTask { (number, failure(await runner.run(task, worker: "w", control: ProgramControl()))) }
            }
            for try await (number, error) in group { #expect(error == "exit status \(number): \(number)") }
        }
    }
}
