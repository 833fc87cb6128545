import EventLog
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite(.serialized) struct WorkerLoopTests {
    private let bench: WorkerBench

    init() throws { bench = try WorkerBench() }

    @Test func `tasks are run one after the other and their ends delivered, each from the outbox`() async throws {
        let port = ScriptedPort(tasks: [
            benchTask("a", command: ["sh", "-c", "echo '{{\"x\":1}}' > {result_file}"]),
            benchTask("b", attempt: 2, command: ["sh", "-c", "echo no >&2; exit 1"]),
            benchTask("c", command: ["sh", "-c", "exit 75"]),
        ])
        let outbox = bench.outbox
        let onDisk = Mutex<[String]>([])
        port.onDelivery { delivery in
            do throws(FileError) {
                let names = try LocalFileSystem().list(outbox.directory)
                onDisk.withLock { $0 += names }
            } catch { Issue.record(error) }
        }
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.count == 3 })
        worker.drain()
        try await run
        #expect(
            port.deliveries == [
                .init(task: "a", attempt: 1, outcome: .complete(result: Array(#"{"x":1}"#.utf8))),
                .init(task: "b", attempt: 2, outcome: .failed(error: "exit status 1: no")),
                .init(task: "c", attempt: 1, outcome: .returned),
            ])
        #expect(onDisk.withLock { $0 } == ["a.1.outcome.json", "b.2.outcome.json", "c.1.outcome.json"])
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `an end that is not taken is kept on disk and delivered until it is`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["true"])])
        port.answerDeliveries([.unavailable("disk full"), .unavailable("disk full")])
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.count == 3 })
        #expect(try await eventually { try bench.outboxNames().isEmpty })
        worker.drain()
        try await run
    }

    @Test func `an end that is refused is dropped`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["true"]), benchTask("b", command: ["true"])])
        port.answerDeliveries([.refused("409")])
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.map(\.task) == ["a", "b"] })
        worker.drain()
        try await run
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `draining stops the program and gives its task back`() async throws {
        let port = ScriptedPort(tasks: [
            benchTask("a", command: ["sh", "-c", "echo up; sleep 1000"]), benchTask("b", command: ["true"]),
        ])
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { try bench.text("results_p/logs/a.1.log") == "up\n" })
        worker.drain()
        try await run
        #expect(port.deliveries == [.init(task: "a", attempt: 1, outcome: .returned)])
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `cancelling is draining, also while nothing is to be had`() async throws {
        let worker = try bench.worker(port: ScriptedPort())
        let run = Task { try await worker.run() }
        run.cancel()
        try await run.value
    }

    @Test func `what cannot be delivered while draining waits in the outbox for the next start`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["true"])])
        port.answerDeliveries(Array(repeating: .unavailable("gone"), count: 1000))
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { !port.deliveries.isEmpty })
        worker.drain()
        try await run
        let recovery = try await bench.outbox.recover()
        #expect(recovery.outcomes.map(\.outcome) == [.complete(result: nil)])

        let later = ScriptedPort()
        later.answerDeliveries([.unavailable("starting")])
        let courier = OutcomeCourier(
            port: later, outbox: bench.outbox, logger: WorkerBench.quietLogger,
            backoff: Backoff(first: .milliseconds(1)))
        #expect(await courier.deliverAll(recovery.outcomes) == 1)
        #expect(later.deliveries.count == 2)
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `that an end is kept is said once, however often it is tried`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["true"])])
        port.answerDeliveries(Array(repeating: .unavailable("gone"), count: 4))
        let log = WarningLog()
        let worker = try bench.worker(port: port, logger: log.logger)
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.count == 5 })
        worker.drain()
        try await run
        #expect(log.warnings == ["an attempt's end is kept and delivered later: gone"])

        let outcome = KeptOutcome(
            worker: "w", reference: .init(task: "a", attempt: 1), outcome: .complete(result: nil),
            report: RunReport(host: "here", durationSeconds: 0))
        let later = ScriptedPort()
        later.answerDeliveries(Array(repeating: .unavailable("starting"), count: 3))
        let courier = OutcomeCourier(
            port: later, outbox: bench.outbox, logger: log.logger, backoff: Backoff(first: .milliseconds(1)))
        #expect(await courier.deliverAll([outcome]) == 1)
        #expect(log.warnings.count == 2)
    }

    @Test func `a superseded attempt's program is stopped within a heartbeat and nothing is said about it`()
        async throws
    {
        let port = ScriptedPort(tasks: [
            benchTask("a", command: ["sh", "-c", "echo up; sleep 1000"]), benchTask("b", command: ["true"]),
        ])
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { try bench.text("results_p/logs/a.1.log") == "up\n" })
        port.stop(.init(task: "a", attempt: 1))
        #expect(try await eventually { port.deliveries.map(\.task) == ["b"] })
        worker.drain()
        try await run
        #expect(try bench.outboxNames().isEmpty)
    }

    @Test func `heartbeats come while a program runs, at their interval`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["sh", "-c", "sleep 0.5"])])
        let worker = try bench.worker(port: port, heartbeat: .milliseconds(100))
        let start = ContinuousClock.now
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.count == 1 })
        let most = Int(start.duration(to: .now) / .milliseconds(100)) + 1
        #expect(port.heartbeats >= 3 && port.heartbeats <= most)
        worker.drain()
        try await run
    }

    @Test func `a manager that cannot be asked is asked again, one that refuses ends the worker`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a", command: ["true"])])
        port.failClaims([.unavailable("away"), .unavailable("away"), .unavailable("starting"), .unavailable("away")])
        port.onDelivery { _ in port.failClaims([.refused("no token")]) }
        let log = WarningLog()
        let worker = try bench.worker(port: port, logger: log.logger)
        await #expect(throws: WorkerPortError.self) { try await worker.run() }
        #expect(port.deliveries.map(\.task) == ["a"])
        // Each reason is said when it begins.
        let reasons = ["away", "starting", "away"].map {
            "the manager gives no tasks now: \($0); it is asked again until it does"
        }
        #expect(log.warnings == reasons + ["the manager refuses this worker: no token"])
    }

    @Test func `a task without a command fails with the way out`() async throws {
        let port = ScriptedPort(tasks: [benchTask("a")])
        let worker = try bench.worker(port: port)
        async let run: Void = worker.run()
        #expect(try await eventually { port.deliveries.count == 1 })
        worker.drain()
        try await run
        #expect(
            port.deliveries.first?.outcome
                == .failed(
                    error:
                        "cannot start the program: task a of phase p has no command: "
                        + "write one after --, or `command:` in its phase"
                ))
    }
}
