import EventLog
import TestSupport
import Testing

@testable import Projections

@Suite("What workers did") struct WorkerFiguresTests {
    /// Each event is a second after the one before it: an attempt that ends with the event after its assignment took 1 s.
    private var folding = Folding()

    private var worker: ManagerState.WorkerSummary {
        get throws { try #require(folding.state.workerSummaries.first) }
    }

    private mutating func complete(_ task: String) throws {
        let report = try folding.state.decideComplete(task, by: .init(worker: "w"), result: nil)
        guard case .events(let events, _) = report else { return }
        for event in events { try folding.fold(event) }
    }

    @Test("what was done, failed and lost stands by phase and in sum")
    mutating func byPhase() throws {
        for (id, phase) in [("a", "q"), ("b", "q"), ("c", "p"), ("d", "p")] { try folding.add(id, phase: phase) }
        for id in ["a", "b", "c", "d"] {
            #expect(try folding.claim("w") == [id])
            switch id {
            case "b": try folding.fail("b"); try folding.fold(.cancelled(task: "b", reason: nil))
            case "c": try folding.fold(.requeued(task: "c", reason: .workerLost), .held(task: "c", reason: nil))
            default: try complete(id)
            }
        }
        let (all, phases) = try (worker.all, worker.phases)
        #expect(all.completed == 2 && all.failed == 1 && all.lost == 1 && all.busySeconds == 3)
        #expect(phases.map(\.name) == ["p", "q"])
        let (p, q) = (phases[0].figures, phases[1].figures)
        #expect(p.completed == 1 && p.failed == 0 && p.lost == 1 && p.busySeconds == 1)
        #expect(q.completed == 1 && q.failed == 1 && q.lost == 0 && q.busySeconds == 2)
    }

    @Test("what an operator ended and what was given back counts as busy, what was lost does not, and no mean has it")
    mutating func givenUp() throws {
        for id in ["a", "b", "c", "d", "e"] { try folding.add(id) }
        let ends: [Event] = [
            .cancelled(task: "a", reason: nil), .requeued(task: "b", reason: .operator),
            .requeued(task: "c", reason: .returned), .requeued(task: "d", reason: .stale),
        ]
        for (id, end) in zip(["a", "b", "c", "d"], ends) {
            #expect(try folding.claim("w") == [id])
            try folding.fold(end)
            if case .requeued = end { try folding.fold(.held(task: id, reason: nil)) }
        }
        let figures = try worker.all
        #expect(figures.busySeconds == 3 && figures.runSeconds == 0 && figures.lost == 1)
        #expect(figures.meanSeconds == nil && figures.p50Seconds == nil)
        // A state that was saved and read gives the same figures, also when it goes on.
        var read = folding
        read.state = try StateDecoder.state(StateEncoder.bytes(folding.state))
        #expect(try #require(read.state.workerSummaries.first).all == figures)
        for folded in [folding, read] {
            var folded = folded
            #expect(try folded.claim("w") == ["e"])
            try folded.fold(.cancelled(task: "e", reason: nil))
            #expect(try #require(folded.state.workerSummaries.first).all.busySeconds == 4)
        }
    }

    @Test("the busy share counts what is held now, and is at most 1")
    mutating func share() throws {
        try folding.add("a")
        #expect(try folding.claim("w") == ["a"])
        #expect(try worker.all.busyShare == nil)
        for id in ["b", "c"] { try folding.add(id) }
        #expect(try worker.all.busyShare == 1 && worker.phases.isEmpty)
        try complete("a")
        for id in ["d", "e", "f"] { try folding.add(id) }
        #expect(try worker.all.busyShare == 0.5)
    }

    @Test("of one attempt every quantile is its duration; of several none lies beyond what they can be")
    func quantiles() throws {
        for sample in [1, 7, 8, 9, 100, 12_345, 1_000_000, 3_599_999_999] as [Int64] {
            var one = DurationHistogram()
            one.add(microseconds: sample)
            for share in [0.5, 0.95] {
                let quantile = try #require(one.quantile(share, sumMicroseconds: sample))
                #expect(abs(quantile - Double(sample) / 1e6) < 1e-9)
            }
        }
        var generator = SeededGenerator(2026)
        for _ in 0..<200 {
            let samples = (0..<Int.random(in: 1...9, using: &generator)).map { _ in
                Int64.random(in: 0...1 << Int64.random(in: 0...40, using: &generator), using: &generator)
            }.sorted()
            var all = DurationHistogram()
            for sample in samples { all.add(microseconds: sample) }
            let sum = samples.reduce(0, +)
            for share in [0.5, 0.95] {
                let rank = max(1, Int((Double(samples.count) * share).rounded(.up)))
                let exact = Double(samples[rank - 1]) / 1e6
                let quantile = try #require(all.quantile(share, sumMicroseconds: sum), "\(samples)")
                #expect(abs(quantile - exact) <= exact * 0.063 + 1e-6, "\(samples)")
            }
        }
        #expect(DurationHistogram().quantile(0.5, sumMicroseconds: 0) == nil)
    }
}
