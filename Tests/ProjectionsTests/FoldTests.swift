import EventLog
import Projections
import Testing

/// Folds events as the journal would hand them over, one command each.
struct Folding {
    var state = ManagerState()
    private var clock: Int64 = 1_700_000_000_000_000

    mutating func fold(_ events: Event...) throws {
        for event in events {
            clock += 1_000_000
            var body: [UInt8] = []
            event.encode(actor: nil, to: &body)
            try body.withUnsafeBufferPointer { bytes in
                state.apply(
                    try EventView(bytes), at: state.position.next, time: LogTime(microseconds: clock), crc: 7)
            }
        }
    }

    mutating func add(_ id: String, phase: String = "p", after: [String] = [], priority: Int = 0) throws {
        var spec = TaskSpec(phase: phase, config: Array(#"{"x":1}"#.utf8), outputDirectories: ["results_p"])
        spec.after = after
        spec.priority = priority
        try fold(.added(id: id, spec: spec, counter: nil))
    }

    /// Claims and folds what was decided; the ids.
    mutating func claim(_ worker: String, _ count: Int = 1) throws -> [String] {
        let decided = state.decideClaim(ManagerState.ClaimRequest(worker: worker, count: count))
        for event in decided.events { try fold(event) }
        return decided.tasks.map(\.id)
    }

    mutating func fail(_ task: String) throws {
        let report = try state.decideFail(task, by: ManagerState.Speaker(worker: "w"), error: "boom")
        guard case .events(let events, _) = report else { return }
        for event in events { try fold(event) }
    }
}

@Suite("The fold and the decisions")
struct FoldTests {
    @Test("tasks are claimed by priority, then in the order of adding; a requeued one keeps its place")
    func claimOrder() throws {
        var folding = Folding()
        for id in ["a", "b", "c"] { try folding.add(id) }
        try folding.add("urgent", priority: 5)
        #expect(try folding.claim("w", 2) == ["urgent", "a"])
        try folding.fold(.requeued(task: "a", reason: .returned))
        #expect(try folding.claim("w", 9) == ["a", "b", "c"])
    }

    @Test("a task waits until the phases before it are complete")
    func gates() throws {
        var folding = Folding()
        try folding.add("second", phase: "two", after: ["one"])
        try folding.add("first", phase: "one")
        #expect(try folding.claim("w", 5) == ["first"])
        #expect(!folding.state.isDone)
        try folding.fold(.completed(Event.Completion(task: "first", worker: "w", attempt: 1)))
        #expect(try folding.claim("w", 5) == ["second"])
    }

    @Test("the fourth failure is final, and what waits for it is done")
    func retries() throws {
        var folding = Folding()
        try folding.add("t", phase: "one")
        try folding.add("later", phase: "two", after: ["one"])
        for attempt in 1...4 {
            #expect(try folding.claim("w") == ["t"], "attempt \(attempt)")
            try folding.fail("t")
        }
        #expect(folding.state.status(of: "t") == .failed)
        #expect(folding.state.isDone)
        #expect(folding.state.blockedPhases == ["1 task waits for one"])
    }

    @Test("a completion of an attempt that is not running is adopted as late; a repeated one writes nothing")
    func lateCompletion() throws {
        var folding = Folding()
        try folding.add("t")
        _ = try folding.claim("w1")
        try folding.fold(.requeued(task: "t", reason: .stale))
        _ = try folding.claim("w2")
        let report = try folding.state.decideComplete("t", by: ManagerState.Speaker(worker: "w1"), result: nil)
        guard case .events(let events, let late) = report else {
            Issue.record("not adopted")
            return
        }
        #expect(late)
        for event in events { try folding.fold(event) }
        #expect(
            try folding.state.decideComplete("t", by: ManagerState.Speaker(worker: "w2"), result: nil) == .duplicate)
    }

    @Test("a pair of worker and attempt that was never assigned is refused")
    func foreignPair() throws {
        var folding = Folding()
        try folding.add("t")
        _ = try folding.claim("w1")
        #expect(throws: Rejection.self) {
            _ = try folding.state.decideComplete(
                "t", by: ManagerState.Speaker(worker: "w2", attempt: 1), result: nil)
        }
    }

    @Test("losses in a row hold a task as poison; a start forgets them")
    func poison() throws {
        var folding = Folding()
        try folding.add("t")
        for _ in 1...2 {
            _ = try folding.claim("w")
            for event in folding.state.decideLoss(
                "t", attempt: folding.state.runningAttempts[0].attempt, .stale, poisonAfter: 2)
            {
                try folding.fold(event)
            }
        }
        #expect(folding.state.status(of: "t") == .held)
    }

    @Test("a state written and read back is the same state, byte for byte, and goes on alike")
    func roundTrip() throws {
        var folding = Folding()
        for id in ["a", "b\"\\ü", "c"] { try folding.add(id, phase: id == "c" ? "q" : "p") }
        try folding.fold(.started(version: "1", host: "h", pid: 1))
        _ = try folding.claim("w", 2)
        try folding.fail("a")
        try folding.fold(.completed(Event.Completion(task: "b\"\\ü", worker: "w", attempt: 1)))
        let bytes = StateEncoder.bytes(folding.state)
        let read = try StateDecoder.state(bytes)
        #expect(StateEncoder.bytes(read) == bytes)
        var resumed = folding
        resumed.state = read
        #expect(try resumed.claim("w2", 9) == folding.claim("w2", 9))
        #expect(StateEncoder.bytes(resumed.state) == StateEncoder.bytes(folding.state))
    }

    @Test("a state file with one byte changed is not used")
    func damagedState() throws {
        var folding = Folding()
        try folding.add("a")
        var bytes = StateEncoder.bytes(folding.state)
        bytes[20] ^= 1
        #expect(throws: SnapshotProblem.checksum) { _ = try StateDecoder.state(bytes) }
    }

    @Test("an unknown type without note is an error; with note it is skipped; unknown keys are skipped")
    func unknownTypes() throws {
        func view(_ text: String) throws { try Array(text.utf8).withUnsafeBufferPointer { _ = try EventView($0) } }
        #expect(throws: EventError.self) { try view(#""type":"teleported","task":"t""#) }
        try view(#""type":"teleported","note":true,"task":"t""#)
        try view(#""type":"released","task":"t","colour":{"a":[1,"}"]}"#)
    }
}

@Suite("Strict JSON")
struct JSONReaderTests {
    private func problem(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            do throws(JSONError) {
                try reader.skip()
                try reader.finish()
                return nil
            } catch { return error.problem }
        }
    }

    @Test(
        "what the standard refuses is refused",
        arguments: [
            "{", "[1,]", "{\"a\":1,\"a\":2}", "01", "1.", "\"\\x\"", "nul", "{} {}", "\"\u{1}\"", "\"\\ud800\"",
            String(repeating: "[", count: 100) + String(repeating: "]", count: 100),
        ])
    func refuses(_ text: String) { #expect(problem(text) != nil) }

    @Test("white space goes, numbers and order stay", arguments: [#" { "b" : 1.50 , "a" : [ 1e3 , null ] } "#])
    func compacts(_ text: String) throws {
        try Array(text.utf8).withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            var out: [UInt8] = []
            try reader.compact(into: &out)
            #expect(String(decoding: out, as: UTF8.self) == #"{"b":1.50,"a":[1e3,null]}"#)
        }
    }
}
