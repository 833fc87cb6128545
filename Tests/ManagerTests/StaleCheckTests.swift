import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("Attempts that are silent for too long")
struct StaleCheckTests {
    private let folder: ScratchFolder
    private let clock = ManualClock()

    init() throws { folder = try ScratchFolder() }

    private func beat(_ manager: ManagerInProcess, _ task: String, _ attempt: UInt32 = 1) {
        _ = manager.processor.heartbeat(worker: "gpu0", [(task: task, attempt: attempt)])
    }

    @Test("two hours is the default, counted from the assignment")
    func whileRunning() throws {
        let manager = try ManagerInProcess(folder, clock: clock)
        try manager.add("t")
        try manager.claim("gpu0")
        let check = StaleCheck(
            manager.processor,
            staleAfter: ManagerDaemon.Options(
                data: DataDirectory(folder.path), http: try #require(Endpoint("127.0.0.1:0"))
            ).silence.staleAfter)
        #expect(status("t", after: 7199, clock, check, manager) == .assigned)
        #expect(status("t", after: 1, clock, check, manager) == .pending)
        let event = try #require(try manager.events("requeued").first)
        #expect(event["reason"] as? String == "stale")
        #expect(event["actor"] as? String == "timer")
        check.run()
        #expect(try manager.events("requeued").count == 1)
    }

    @Test("a heartbeat is a sign, whether it was announced or not")
    func heartbeats() throws {
        let manager = try ManagerInProcess(folder, clock: clock)
        try manager.add("t")
        try manager.claim("gpu0")
        let check = StaleCheck(manager.processor, staleAfter: .seconds(100))
        for _ in 0..<5 {
            clock.advance(.seconds(99))
            beat(manager, "t")
            check.run()
        }
        #expect(manager.status("t") == .assigned)
        #expect(status("t", after: 100, clock, check, manager) == .pending)
    }

    @Test("at start others are judged at once by their assignment, in hours with one decimal")
    func atStart() throws {
        try HandWrittenJournal.write(
            [
                .init(secondsAgo: 20_000, [Self.added("old"), Self.added("young")]),
                .init(secondsAgo: 3.2 * 3600, [Self.assigned("old", "gpu0")]),
                .init(secondsAgo: 0.5 * 3600, [Self.assigned("young", "gpu1")]),
            ], to: folder.path)
        let manager = try ManagerInProcess(folder, clock: clock)
        let lines = StaleCheck(manager.processor, staleAfter: .seconds(7200)).atStart()
        #expect(lines.valid == ["Assignment of young to gpu1 (0.5 hours ago) still valid"])
        #expect(lines.stale == ["Reassigning stale task old (assigned 3.2 hours ago)"])
        #expect(manager.status("old") == .pending)
        #expect(manager.status("young") == .assigned)
    }

    @Test("`since` counts where the assignment comes from elsewhere")
    func since() throws {
        var assignment = Event.Assignment(task: "t", worker: "gpu0", attempt: 1)
        assignment.since = LogTime.now().advanced(bySeconds: -7300)
        try HandWrittenJournal.write(
            [.init(secondsAgo: 1, [Self.added("t"), .assigned(assignment)])], to: folder.path)
        let manager = try ManagerInProcess(folder, clock: clock)
        #expect(StaleCheck(manager.processor, staleAfter: .seconds(7200)).atStart().stale.count == 1)
    }

    @Test("after a start, who announced heartbeats gets three of them, at least a minute", arguments: [5.0, 50.0])
    func grace(interval: Double) throws {
        try HandWrittenJournal.write(
            [
                .init(secondsAgo: 20_000, [Self.added("silent"), Self.added("alive")]),
                .init(
                    secondsAgo: 10_000,
                    [
                        Self.assigned("silent", "gpu0", heartbeat: interval),
                        Self.assigned("alive", "gpu0", heartbeat: interval),
                    ]),
            ], to: folder.path)
        let manager = try ManagerInProcess(folder, clock: clock)
        let check = StaleCheck(manager.processor, staleAfter: .seconds(7200))
        let lines = check.atStart()
        #expect(lines.stale.isEmpty && lines.valid.count == 2)
        let grace = max(60, 3 * interval)
        clock.advance(.seconds(grace - 1))
        beat(manager, "alive")
        check.run()
        #expect(manager.status("silent") == .assigned)
        #expect(status("silent", after: 1, clock, check, manager) == .pending)
        #expect(manager.status("alive") == .assigned)
    }

    @Test("the age at start goes on without the wall clock: it may be set while the manager runs")
    func clockSet() throws {
        try HandWrittenJournal.write(
            [.init(secondsAgo: 3600, [Self.added("t"), Self.assigned("t", "gpu0")])], to: folder.path)
        // The wall clock stands ten days too early: the last event is the later one.
        let manager = try ManagerInProcess(folder, clock: clock, wallJump: -864_000)
        let check = StaleCheck(manager.processor, staleAfter: .seconds(7200))
        #expect(check.atStart().valid == ["Assignment of t to gpu0 (0.0 hours ago) still valid"])
        #expect(status("t", after: 7199, clock, check, manager) == .assigned)
        #expect(status("t", after: 1, clock, check, manager) == .pending)
    }

    @Test("five losses in a row hold a task as poison; a completion in between would have cleared it")
    func poison() throws {
        let manager = try ManagerInProcess(folder, clock: clock)
        try manager.add("t")
        let check = StaleCheck(manager.processor, staleAfter: .seconds(10))
        for round in 1...5 {
            #expect(try manager.claim("gpu0") == ["t"], "round \(round)")
            clock.advance(.seconds(10))
            check.run()
        }
        #expect(manager.status("t") == .held)
        let last = try manager.events().suffix(2)
        #expect(last.map { $0["type"] as? String } == ["requeued", "held"])
        #expect(last.first?["more"] as? Bool == true)
        #expect(last.last?["reason"] as? String == "poison")
    }

    @Test("a wall clock that is set by more than 5 s is noticed, once, in both directions; one that drifts is not")
    func clockSteps() {
        var watch = ManagerClock.Watch(clock.clock())
        clock.advance(.seconds(500))
        #expect(watch.step() == nil)
        for _ in 0..<3 {
            clock.set(bySeconds: 4)
            #expect(watch.step() == nil)
        }
        clock.set(bySeconds: 8)
        #expect(watch.step().map { ($0 * 1000).rounded() } == 8000)
        #expect(watch.step() == nil)
        clock.set(bySeconds: -3600)
        #expect(watch.step().map { ($0 * 1000).rounded() } == -3_600_000)
    }

    @Test("the clock of ages counts on while the wall clock is set, and is the one that counts sleep")
    func bootClock() {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        let boot = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        let steady = "\(ManagerClock.system.steady())".split(separator: ":").last.map {
            $0.filter { $0.isNumber || $0 == "." }
        }
        #expect(abs((Double(steady ?? "") ?? 0) - boot) < 5)
    }

    private static func added(_ id: String) -> Event {
        .added(
            id: id, spec: TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["results_p"]), counter: nil
        )
    }

    private static func assigned(_ id: String, _ worker: String, heartbeat: Double? = nil) -> Event {
        var assignment = Event.Assignment(task: id, worker: worker, attempt: 1)
        assignment.heartbeatSeconds = heartbeat
        return .assigned(assignment)
    }
}

@Suite("Workers whose heartbeats stop")
struct WorkerTimeoutTests {
    private let folder: ScratchFolder
    private let clock = ManualClock()

    init() throws { folder = try ScratchFolder() }

    private func claimed(_ heartbeat: Double?) throws -> ManagerInProcess {
        let manager = try ManagerInProcess(folder, clock: clock)
        try manager.add("t")
        try manager.claim("gpu0", heartbeat: heartbeat)
        return manager
    }

    @Test(
        "after three heartbeats, at least a minute, or what --worker-timeout says, the attempt is lost",
        arguments: [
            (5.0, Duration?.none, 60.0), (50, nil, 150), (5, .seconds(20), 20), (30, .seconds(20), 60),
            (5, .zero, 7200),
            (5, .seconds(9000), 7200),
        ])
    func limit(heartbeat: Double, timeout: Duration?, limit: Double) throws {
        let manager = try claimed(heartbeat)
        let check = StaleCheck(
            manager.processor, limits: SilenceLimits(staleAfter: .seconds(7200), workerTimeout: timeout))
        // Past the grace of a start, with a sign.
        for _ in 0..<10 {
            clock.advance(.seconds(heartbeat))
            _ = manager.processor.heartbeat(worker: "gpu0", [(task: "t", attempt: 1)])
            check.run()
        }
        #expect(status("t", after: limit - 1, clock, check, manager) == .assigned)
        #expect(status("t", after: 1, clock, check, manager) == .pending)
        let event = try #require(try manager.events("requeued").first)
        #expect(event["reason"] as? String == (limit == 7200 ? "stale" : "worker_lost"))
        #expect(event["silent_s"] as? Double == limit)
        #expect(event["limit_s"] as? Double == limit)
        #expect(event["limit"] as? String == (limit == 7200 ? "stale_after" : "worker_timeout"))
    }

    @Test("a lost attempt goes on while nobody has claimed its task, and its completion is taken; then it is to stop")
    func lostButUnclaimed() throws {
        let manager = try claimed(5)
        let check = StaleCheck(manager.processor, staleAfter: .seconds(7200))
        #expect(status("t", after: 60, clock, check, manager) == .pending)
        func beat() -> Rejection? {
            let answer = manager.processor.heartbeat(worker: "gpu0", [(task: "t", attempt: 1)]).answer.first
            if case .failure(let refused) = answer { return refused }
            return nil
        }
        #expect(beat()?.status == 409)
        #expect(beat()?.isUnclaimedLoss == true)
        try manager.claim("gpu1")
        #expect(beat()?.isUnclaimedLoss == false)
        try manager.complete("t", by: "gpu0")
        #expect(try manager.events("completed").first?["late"] as? Bool == true)
    }

    @Test("when the manager was held up, those who announced heartbeats get time to report")
    func heldUp() throws {
        let manager = try claimed(5)
        let check = StaleCheck(manager.processor, staleAfter: .seconds(36_000))
        clock.advance(.seconds(3600))
        check.wasHeldUp()
        check.run()
        #expect(manager.status("t") == .assigned)
        #expect(status("t", after: 59, clock, check, manager) == .assigned)
        #expect(status("t", after: 1, clock, check, manager) == .pending)
    }

    @Test("without heartbeats a multiple of the phase's median run may be the limit, at least a minute")
    func median() throws {
        let manager = try ManagerInProcess(folder, clock: clock)
        let limits = SilenceLimits(staleAfter: .seconds(7200), medianFactor: 4)
        let check = StaleCheck(manager.processor, limits: limits)
        for (number, seconds) in [100.0, 100, 100].enumerated() {
            try manager.add("run\(number)")
            try manager.claim("gpu0")
            clock.advance(.seconds(seconds))
            check.run()
            try manager.complete("run\(number)", by: "gpu0")
        }
        let median = try #require(manager.processor.snapshot.medianRunSeconds(ofPhase: "p", leastRuns: 3))
        #expect(abs(median - 100) < 6)
        #expect(manager.processor.snapshot.medianRunSeconds(ofPhase: "p", leastRuns: 4) == nil)
        try manager.add("slow")
        try manager.claim("gpu0")
        #expect(status("slow", after: 4 * median - 1, clock, check, manager) == .assigned)
        #expect(status("slow", after: 2, clock, check, manager) == .pending)
        let event = try #require(try manager.events("requeued").first)
        #expect(event["reason"] as? String == "stale")
        #expect(event["limit"] as? String == "phase_median")
        #expect(
            SilenceLimits(staleAfter: .seconds(7200), medianFactor: 2).limit(heartbeatSeconds: nil) { 0.1 }.duration
                == .seconds(60))
        #expect(limits.limit(heartbeatSeconds: nil) { 1e6 }.duration == .seconds(7200))
        #expect(limits.limit(heartbeatSeconds: nil) { nil }.rule == .staleAfter)
    }
}

/// Lets so many seconds pass, and judges: what the task is then.
private func status(
    _ task: String, after seconds: Double, _ clock: ManualClock, _ check: StaleCheck, _ manager: ManagerInProcess
) -> TaskStatus? {
    clock.advance(.seconds(seconds))
    check.run()
    return manager.status(task)
}
