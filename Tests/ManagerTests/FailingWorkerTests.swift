import EventLog
import Projections
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite("Workers that fail") struct FailingWorkerTests {
    private let folder: ScratchFolder
    private let clock = ManualClock()

    init() throws { folder = try ScratchFolder() }

    private func manager(_ tasks: [String], quarantineAfter: Int = 0) throws -> ManagerInProcess {
        let manager = try ManagerInProcess(folder, clock: clock, quarantineAfter: quarantineAfter)
        for task in tasks { try manager.add(task) }
        return manager
    }

    private func fail(_ manager: ManagerInProcess, _ task: String, by worker: String) throws {
        _ = try manager.processor.fail(
            task, by: ManagerState.Speaker(worker: worker), error: "no GPU", actor: "test")
    }

    /// Claims as a worker that waits: its tasks so far.
    private final class Waiting: Sendable {
        private let got = Mutex<[String]>([])
        var tasks: [String] { got.withLock { $0 } }
        func take(_ tasks: [ManagerState.ClaimedTask]) { got.withLock { $0 += tasks.map(\.id) } }
    }

    private func wait(_ manager: ManagerInProcess, _ worker: String) throws -> Waiting {
        let waiting = Waiting()
        let claim = try manager.processor.claim(
            ManagerState.ClaimRequest(worker: worker), actor: "test", waits: { tasks, _ in waiting.take(tasks) })
        if case .tasks(let tasks, _) = claim { waiting.take(tasks) }
        return waiting
    }

    @Test("after so many failures in a row a worker gets no more work; others do; it is remembered; release helps")
    func quarantine() throws {
        var manager = try manager(["a", "b", "c", "d"], quarantineAfter: 2)
        #expect(try manager.claim("bad") == ["a"])
        try fail(manager, "a", by: "bad")
        #expect(try manager.claim("bad") == ["a"])
        try manager.complete("a", by: "bad")
        for task in ["b", "c"] {
            #expect(try manager.claim("bad", 1).count == 1)
            try fail(manager, "b", by: "bad")
            #expect(manager.processor.isQuarantined("bad") == (task == "c"))
        }
        #expect(try manager.claim("bad").isEmpty)
        let waiting = try wait(manager, "bad")
        #expect(waiting.tasks.isEmpty)
        #expect(try manager.claim("good") == ["b"])

        manager = try manager.restarted(quarantineAfter: 2)
        #expect(try manager.claim("bad").isEmpty)
        let again = try wait(manager, "bad")
        #expect(try manager.processor.releaseWorker("bad", actor: "cli:me").answer)
        #expect(again.tasks == ["c"])
        let note = try #require(try manager.events("worker_released").first)
        #expect(note["worker"] as? String == "bad")
        #expect(note["note"] as? Bool == true)
        #expect(try !manager.processor.releaseWorker("bad", actor: nil).answer)
        #expect(try manager.events("worker_released").count == 1)
        #expect(throws: Rejection.self) { _ = try manager.processor.releaseWorker("nobody", actor: nil) }
    }

    @Test("the state file keeps how many have failed in a row, and a replay gives the same bytes")
    func remembered() throws {
        let manager = try manager(["a"])
        for _ in 0..<2 {
            try manager.claim("bad")
            try fail(manager, "a", by: "bad")
        }
        let bytes = StateEncoder.bytes(manager.processor.snapshot)
        let read = try StateDecoder.state(bytes)
        #expect(read.failuresInRow(of: "bad") == 2)
        #expect(StateEncoder.bytes(read) == bytes)
    }

    @Test("what a worker has failed goes to another one that waits")
    func anotherWaits() throws {
        let manager = try manager(["a"])
        #expect(try manager.claim("w0") == ["a"])
        let own = try wait(manager, "w0")
        let other = try wait(manager, "w1")
        try fail(manager, "a", by: "w0")
        #expect(own.tasks.isEmpty)
        #expect(other.tasks == ["a"])
    }

    @Test("another worker that was there lately is given a few seconds; then nobody starves")
    func anotherIsBusy() throws {
        let manager = try manager(["a", "b"])
        let check = StaleCheck(manager.processor, staleAfter: .seconds(7200))
        #expect(try manager.claim("w0") == ["a"])
        #expect(try manager.claim("w1") == ["b"])
        try fail(manager, "a", by: "w0")
        let own = try wait(manager, "w0")
        clock.advance(.seconds(4))
        check.run()
        #expect(own.tasks.isEmpty)
        clock.advance(.seconds(2))
        check.run()
        #expect(own.tasks == ["a"])
    }

    @Test("a worker that is alone tries again itself, at once; one that does not wait gets tasks in their order")
    func alone() throws {
        let manager = try manager(["a", "b"])
        #expect(try manager.claim("w0") == ["a"])
        try fail(manager, "a", by: "w0")
        #expect(try wait(manager, "w0").tasks == ["a"])
        #expect(try manager.claim("w1") == ["b"])
        try fail(manager, "a", by: "w0")
        #expect(try manager.claim("w0") == ["a"])
    }

    @Test("while another is there, a worker goes on with the next task and leaves its failure to that one")
    func goesOn() throws {
        let manager = try manager(["a", "b", "c"])
        #expect(try manager.claim("w1") == ["a"])
        #expect(try manager.claim("w0") == ["b"])
        try fail(manager, "b", by: "w0")
        #expect(try wait(manager, "w0").tasks == ["c"])
        #expect(try wait(manager, "w1").tasks == ["b"])
    }

    @Test("slow and failing workers are marked")
    func marks() throws {
        let manager = try manager((0..<12).map { "t\($0)" })
        for round in 0..<3 {
            for (worker, seconds) in [("fast", 10.0), ("slow", 25)] {
                let tasks = try manager.claim(worker)
                clock.advance(.seconds(seconds))
                for task in tasks { try manager.complete(task, by: worker) }
            }
            try manager.claim("bad")
            try fail(manager, "t\(2 * round + 2 - round)", by: "bad")
        }
        let marks = Dictionary(
            uniqueKeysWithValues: manager.processor.snapshot.workerSummaries.map { ($0.name, $0.marks()) })
        #expect(marks["fast"] == [])
        #expect(marks["slow"] == ["slow"])
    }
}
