import EventLog
import TestSupport
import Testing

@testable import Projections

@Suite("Attempts that an import brings")
struct BroughtAttemptTests {
    /// When the import is: over three years after the work that it brings.
    private static let imported: Int64 = 1_800_000_000_000_000

    /// A journal that begins with what another one's state gives, all at one moment, and goes on.
    private struct Target {
        var state = ManagerState()
        var lines: [[UInt8]] = []
        var now = BroughtAttemptTests.imported

        mutating func fold(_ events: [Event]) throws {
            for event in events {
                var body: [UInt8] = []
                event.encode(actor: nil, to: &body)
                let position = state.position.next
                try body.withUnsafeBufferPointer { bytes in
                    state.apply(try EventView(bytes), at: position, time: LogTime(microseconds: now), crc: 7)
                }
                let line = Array("{\"seq\":\(position),\"time\":\"\(LogTime(microseconds: now))\",".utf8) + body
                lines.append(line + Array(",\"crc\":\"".utf8) + hexDigits(of: crc32c(line)) + Array("\"}".utf8))
            }
        }

        mutating func later(_ seconds: Double, _ events: Event...) throws {
            now += Int64(seconds * 1_000_000)
            try fold(events)
        }

        func figures(_ worker: String) throws -> ManagerState.WorkerSummary {
            try #require(state.workerSummaries.first { $0.name == worker })
        }

        /// The lines of one task.
        func lines(of task: String) -> [[UInt8]] {
            lines.filter { String(decoding: $0, as: UTF8.self).contains("\"task\":\"\(task)\"") }
        }
    }

    /// What stands there: one of each end, each attempt a second long, and one that runs.
    private func source() throws -> ManagerState {
        var folding = Folding()
        for id in ["done", "retried", "returned", "operated", "failed", "running"] { try folding.add(id) }
        #expect(try folding.claim("w") == ["done"])
        try folding.fold(.completed(Event.Completion(task: "done", worker: "w", attempt: 1)))
        #expect(try folding.claim("w") == ["retried"])
        try folding.fail("retried")
        #expect(try folding.claim("w") == ["retried"])
        try folding.fold(.completed(Event.Completion(task: "retried", worker: "w", attempt: 2)))
        #expect(try folding.claim("w") == ["returned"])
        try folding.fold(.requeued(task: "returned", reason: .returned), .held(task: "returned", reason: nil))
        #expect(try folding.claim("w") == ["operated"])
        try folding.fold(.cancelled(task: "operated", reason: nil))
        for _ in 0..<4 {
            #expect(try folding.claim("w") == ["failed"])
            try folding.fail("failed")
        }
        #expect(try folding.claim("w") == ["running"])
        return folding.state
    }

    private func target() throws -> Target {
        let source = try source()
        var target = Target()
        for number in 0..<source.taskCount { try target.fold(source.transferEvents(of: number)) }
        return target
    }

    @Test("they count, and how long they ran does not: the journal does not know it")
    func counted() throws {
        let there = try #require(try source().workerSummaries.first)
        #expect(there.all.busySeconds == 9 && there.all.meanSeconds == 1 && there.failuresInRow == 4)
        let target = try target()
        let here = try target.figures("w")
        #expect(here.all.completed == there.all.completed && here.all.failed == there.all.failed)
        #expect(here.all.completed == 2 && here.all.failed == 5)
        #expect(here.all.busySeconds == 0 && here.all.runSeconds == 0)
        #expect(here.all.meanSeconds == nil && here.all.p50Seconds == nil && here.all.p95Seconds == nil)
        #expect(target.state.medianRunSeconds(ofPhase: "p", leastRuns: 1) == nil)
        // Nor is known what failed in a row: the tasks come one after the other.
        #expect(here.failuresInRow == 0)
    }

    @Test("nor does one that ran then and ends here, of which nobody knows when it really did; what begins here counts")
    func goesOn() throws {
        var target = try target()
        try target.later(60, .completed(Event.Completion(task: "running", worker: "w", attempt: 1)))
        var figures = try target.figures("w").all
        #expect(figures.completed == 3 && figures.busySeconds == 0 && figures.meanSeconds == nil)
        #expect(figures.busyShare == 0)
        try target.later(
            10, .released(task: "returned"), .assigned(Event.Assignment(task: "returned", worker: "w", attempt: 2)))
        try target.later(30, .completed(Event.Completion(task: "returned", worker: "w", attempt: 2)))
        figures = try target.figures("w").all
        #expect(figures.busySeconds == 30 && figures.meanSeconds == 30 && figures.p95Seconds == 30)
        #expect(figures.busyShare == 0.3)
    }

    @Test("what a brought attempt's worker holds is no time of its own here")
    func held() throws {
        var target = try target()
        try target.later(
            100,
            .added(
                id: "new", spec: TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["d"]), counter: nil)
        )
        #expect(try target.figures("w").all.busyShare == 0)
    }

    @Test("completions that came complete are no rate")
    func rate() throws {
        var target = try target()
        try target.later(100, .completed(Event.Completion(task: "running", worker: "w", attempt: 1)))
        let summary = StatusSummary(target.state)
        #expect(summary.completionRate(now: LogTime(microseconds: target.now)) == 0.01)
    }

    @Test("an assignment that another machine's clock set behind the import is none of known length, either")
    func clockAhead() throws {
        var target = Target()
        var assignment = Event.Assignment(task: "t", worker: "w", attempt: 1)
        assignment.since = LogTime(microseconds: Self.imported + 3_600_000_000)
        try target.fold([
            .added(
                id: "t", spec: TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["d"]), counter: nil),
            .assigned(assignment),
            .completed(Event.Completion(task: "t", worker: "w", attempt: 1)),
        ])
        let figures = try target.figures("w").all
        #expect(figures.completed == 1 && figures.meanSeconds == nil && figures.p50Seconds == nil)
    }

    @Test("a state that was written in between and read goes on alike")
    func roundTrip() throws {
        var whole = try target()
        var read = whole
        read.state = try StateDecoder.state(StateEncoder.bytes(whole.state))
        #expect(StateEncoder.bytes(read.state) == StateEncoder.bytes(whole.state))
        for end in [Event.requeued(task: "running", reason: .operator), .cancelled(task: "running", reason: nil)] {
            try whole.later(50, end)
            try read.later(50, end)
            #expect(StateEncoder.bytes(read.state) == StateEncoder.bytes(whole.state))
            #expect(try read.figures("w").all == whole.figures("w").all)
        }
        #expect(StatusSummary(read.state).completions == StatusSummary(whole.state).completions)
    }

    @Test("a task's story and its attempts say that they ended before the import, and sum up no time of theirs")
    func story() throws {
        let target = try target()
        let now = LogTime(microseconds: target.now + 7_000_000)
        let lines = target.lines(of: "retried")
        #expect(lines.count == 6)
        let story = try TaskStory(lines, now: now)
        #expect(story.totals.running == 0 && story.totals.wasted == 0 && story.totals.waiting == 0)
        #expect(story.totals.attempts == 2 && story.totals.untimedAttempts == 2 && story.totals.wastedAttempts == 1)
        #expect(story.steps.filter { $0.type == "assigned" }.allSatisfy { $0.seconds == nil && $0.endedBeforeImport })
        let attempts = try attempts(lines)
        #expect(attempts.map(\.outcome) == ["failed", "completed"])
        #expect(attempts.allSatisfy { $0.endedBeforeImport && $0.seconds == nil && $0.start != nil })

        // What runs on is known to have begun then.
        let running = target.lines(of: "running")
        let goesOn = try TaskStory(running, now: now)
        #expect(goesOn.totals.untimedAttempts == 0 && goesOn.totals.running > 1_000_000)
        #expect(try self.attempts(running).first?.endedBeforeImport == false)

        // The same from a state that stands in for the events.
        let history = DiscardedHistory(position: target.state.position, time: target.state.time)
        let beginning = try #require(TaskBeginning("retried", in: target.state, after: history))
        #expect(beginning.attempts.allSatisfy { $0.endedBeforeImport && $0.seconds == nil })
        let later = try TaskStory([], from: beginning, now: now)
        #expect(later.totals.running == 0 && later.totals.untimedAttempts == 2)
    }

    private func attempts(_ lines: [[UInt8]]) throws -> [AttemptRecord] {
        var history = AttemptHistory()
        for bytes in lines {
            try bytes.withUnsafeBufferPointer { buffer in
                let line = try #require(LogLine(buffer))
                try history.apply(line.body, at: line.time)
            }
        }
        return history.attempts
    }
}
