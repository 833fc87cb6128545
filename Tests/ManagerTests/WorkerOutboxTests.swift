import EventLog
import Glibc
import Subprocess
import TestSupport
import Testing

@testable import manager

@Suite(.serialized) struct WorkerOutboxTests {
    private let bench: WorkerBench
    private let reference = AttemptReference(task: "t", attempt: 3)

    init() throws { bench = try WorkerBench() }

    /// Starts a program as a worker that was killed right afterwards would have left it, runs the body, and ends it.
    /// The body gets its process id when the program has said that it is ready.
    private func withOrphan<Value: Sendable>(
        _ script: String, marked: Bool, _ body: @escaping @Sendable (Int32) async throws -> Value
    ) async throws -> Value {
        var options = PlatformOptions()
        options.processGroupID = 0
        let ready = "\(bench.path)/ready"
        let marker: Environment.Key = "MANAGER_OUTBOX"
        let result = try await Subprocess.run(
            .name("sh"), arguments: ["-c", "\(script)", ready],
            environment: .inherit.updating([marker: marked ? bench.outbox.directory : nil]),
            platformOptions: options, input: .none, output: .discarded, error: .discarded
        ) { execution in
            let pid = execution.processIdentifier.value
            #expect(try await eventually { try bench.text("ready") != nil })
            defer { kill(-pid, SIGKILL) }
            return try await body(pid)
        }
        return result.closureResult
    }

    private func isEnded(_ pid: Int32) -> Bool { !isRunning(pid) }

    @Test func `outcomes and records are read as they were written`() throws {
        let report = RunReport(
            host: "h\"ost", program: "python3 train.py", exitCode: 3, signal: 9, durationSeconds: 1.25,
            maxRSSBytes: 1 << 40)
        let bare = RunReport(host: "", durationSeconds: 0)
        for (outcome, report) in [
            (ProgramOutcome.complete(result: nil), bare), (.complete(result: Array(#"{"a":1.0}"#.utf8)), report),
            (.failed(error: "a\nb\u{1}\"ä"), report), (.returned, bare),
        ] {
            let kept = KeptOutcome(worker: "w", reference: reference, outcome: outcome, report: report)
            #expect(try KeptOutcome(json: kept.json) == kept)
        }
        let child = RunningChild(pid: getpid(), worker: "w", reference: reference, in: bench.outbox)
        #expect(child.startTicks != nil)
        #expect(try RunningChild(json: child.json) == child)
    }

    @Test func `keeping an outcome removes the run's files, forgetting it leaves nothing`() throws {
        let files = bench.outbox.files(of: reference)
        try bench.outbox.prepare(files, config: Array("{}".utf8))
        try bench.outbox.record(RunningChild(pid: getpid(), worker: "w", reference: reference, in: bench.outbox))
        #expect(try bench.outboxNames() == ["t.3.config.json", "t.3.running.json"])
        try bench.outbox.keep(
            KeptOutcome(
                worker: "w", reference: reference, outcome: .returned, report: RunReport(host: "h", durationSeconds: 1))
        )
        #expect(try bench.outboxNames() == ["t.3.outcome.json"])
        try bench.outbox.forget(reference)
        try bench.outbox.forget(reference)
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `a recorded program and its children are ended, its result counts for nothing`() async throws {
        let found = try await withOrphan("sleep 1000 & : > $0; wait", marked: false) { pid in
            try bench.outbox.prepare(bench.outbox.files(of: reference), config: Array("{}".utf8))
            try bench.outbox.record(RunningChild(pid: pid, worker: "w", reference: reference, in: bench.outbox))
            let result = try bench.fileSystem.open(bench.outbox.files(of: reference).result, .createNew)
            try writeAll(Array("{}".utf8), to: result, at: 0)
            let recovery = try await bench.outbox.recover()
            #expect(try ProcessTable().members(ofGroup: pid).isEmpty)
            return recovery
        }
        #expect(found.abandoned.map(\.reference) == [reference])
        #expect(found.outcomes.isEmpty)
        #expect(found.endedProcesses == 2)
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `a program that was started but not recorded is found by its mark`() async throws {
        try await withOrphan(": > $0; exec sleep 1000", marked: true) { pid in
            let recovery = try await bench.outbox.recover()
            #expect(recovery.endedProcesses == 1 && recovery.abandoned.isEmpty)
            #expect(isEnded(pid))
        }
    }

    @Test func `a grandchild in a session of its own is found by its mark, and killed if it ignores SIGTERM`()
        async throws
    {
        let script = "setsid sh -c 'trap \"\" TERM; echo $$ > $0.pid; : > $0; while :; do sleep 1; done' $0 & wait"
        try await withOrphan(script, marked: true) { pid in
            let grandchild = try bench.pid("ready.pid")
            #expect(isRunning(grandchild))
            _ = try await bench.outbox.recover(grace: .milliseconds(300))
            #expect(isEnded(grandchild) && isEnded(pid))
        }
    }

    @Test func `a process that only has the same number is not touched`() async throws {
        try await withOrphan(": > $0; exec sleep 1000", marked: false) { pid in
            let real = RunningChild(pid: pid, worker: "w", reference: reference, in: bench.outbox)
            let ticks = try #require(real.startTicks)
            let text = String(decoding: real.json, as: UTF8.self)
            for other in [
                text.replacing("\"start_ticks\":\(ticks)", with: "\"start_ticks\":\(ticks - 1)"),
                text.replacing(real.bootID, with: "another-boot"),
            ] {
                try bench.outbox.record(try RunningChild(json: Array(other.utf8)))
                let recovery = try await bench.outbox.recover()
                #expect(recovery.abandoned.count == 1 && recovery.endedProcesses == 0)
                #expect(isRunning(pid))
            }
        }
    }

    @Test func `a program of another outbox is not touched`() async throws {
        try await withOrphan(": > $0; exec sleep 1000", marked: true) { pid in
            let other = try WorkerBench()
            #expect(try await other.outbox.recover().endedProcesses == 0)
            #expect(isRunning(pid))
        }
    }

    @Test func `outcomes are handed over and stay until they are forgotten; left-over files go`() async throws {
        let kept = KeptOutcome(
            worker: "w", reference: reference, outcome: .failed(error: "e"),
            report: RunReport(host: "h", durationSeconds: 2))
        try bench.outbox.keep(kept)
        for name in ["t.4.config.json", "t.4.result.json", "t.5.outcome.json.tmp", "other.txt"] {
            try bench.fileSystem.open("\(bench.outbox.directory)/\(name)", .createNew).close()
        }
        #expect(try await bench.outbox.recover().outcomes == [kept])
        #expect(try await bench.outbox.recover().outcomes == [kept])
        #expect(try bench.outboxNames() == ["other.txt", "t.3.outcome.json"])
    }

    @Test func `a damaged record is set aside and named`() async throws {
        let file = try bench.fileSystem.open("\(bench.outbox.directory)/t.9.outcome.json", .createNew)
        try writeAll(Array("{\"task\":".utf8), to: file, at: 0)
        let recovery = try await bench.outbox.recover()
        #expect(recovery.outcomes.isEmpty && recovery.damaged.count == 1)
        #expect(try bench.outboxNames() == ["t.9.outcome.json.damaged"])
    }

    @Test func `a process line is read whatever the program is called`() throws {
        let line = "77 (a) R (b) x) S 1 76 5 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 9"
        let entry = try #require(ProcessTable.parse(Array(line.utf8)))
        #expect(entry == .init(pid: 77, parent: 1, group: 76, startTicks: 123456, isAlive: true))
        #expect(ProcessTable.parse(Array("77 (x) S 1".utf8)) == nil)
        #expect(ProcessTable.parse([]) == nil)
    }
}
