import EventLog
import Projections
import Testing

@Suite("Claims that name a key") struct ClaimKeyTests {
    private func claim(
        _ folding: inout Folding, _ key: String?, worker: String = "w", count: Int = 1, after seconds: Double = 0
    ) throws -> [String] {
        var request = ManagerState.ClaimRequest(worker: worker, count: count)
        request.key = key
        let now = (folding.state.time ?? LogTime(microseconds: 0)).advanced(bySeconds: seconds)
        if let again = try folding.state.repeatedClaim(request, now: now) {
            return again.map { "\($0.id).\($0.attempt)" }
        }
        let decided = folding.state.decideClaim(request)
        for event in decided.events { try folding.fold(event) }
        return decided.tasks.map { "\($0.id).\($0.attempt)" }
    }

    /// Folds on from what was written as well as from the state itself, and compares.
    private func throughFile(_ folding: Folding) throws -> Folding {
        var read = folding
        let bytes = StateEncoder.bytes(folding.state)
        read.state = try StateDecoder.state(bytes)
        #expect(StateEncoder.bytes(read.state) == bytes)
        return read
    }

    private func tasks(_ count: Int) throws -> Folding {
        var folding = Folding()
        for number in 0..<count { try folding.add("t\(number)") }
        return folding
    }

    @Test func `a repetition gives what is still running of it, with the same attempts, also out of the state file`()
        throws
    {
        var folding = try tasks(5)
        #expect(try claim(&folding, "k", count: 3) == ["t0.1", "t1.1", "t2.1"])
        #expect(try claim(&folding, "k", count: 3) == ["t0.1", "t1.1", "t2.1"])
        #expect(try claim(&folding, "other") == ["t3.1"])
        try folding.fail("t1")
        folding = try throughFile(folding)
        #expect(try claim(&folding, "k", count: 3) == ["t0.1", "t2.1"])
        // Another worker's key is another key.
        #expect(try claim(&folding, "k", worker: "v") == ["t1.2"])
        #expect(try claim(&folding, nil) == ["t4.1"])
    }

    @Test func `of what is over a repetition gets nothing, and is told so`() throws {
        var folding = try tasks(2)
        #expect(try claim(&folding, "k") == ["t0.1"])
        try folding.fold(.cancelled(task: "t0", reason: nil))
        folding = try throughFile(folding)
        let refused = #expect(throws: Rejection.self) { try claim(&folding, "k") }
        #expect(refused?.status == 409)
        #expect(refused?.detail.contains("worker w") == true)
    }

    @Test func `a task that was given back counts as never claimed`() throws {
        var folding = try tasks(2)
        #expect(try claim(&folding, "k") == ["t0.1"])
        try folding.fold(.requeued(task: "t0", reason: .returned))
        folding = try throughFile(folding)
        #expect(try claim(&folding, "k") == ["t0.2"])
        #expect(try claim(&folding, "k") == ["t0.2"])
    }

    @Test func `a key counts for ten minutes of the journal's time, and then leaves the state`() throws {
        var folding = try tasks(3)
        #expect(try claim(&folding, "k") == ["t0.1"])
        #expect(try claim(&folding, "k", after: 599) == ["t0.1"])
        #expect(String(decoding: StateEncoder.bytes(folding.state), as: UTF8.self).contains("claim_keys"))
        // Each event is a second later than the one before.
        var fromFile = try throughFile(folding)
        for _ in 0..<601 {
            try folding.fold(.prioritised(task: "t0", priority: 1))
            try fromFile.fold(.prioritised(task: "t0", priority: 1))
        }
        #expect(StateEncoder.bytes(folding.state) == StateEncoder.bytes(fromFile.state))
        #expect(!String(decoding: StateEncoder.bytes(folding.state), as: UTF8.self).contains("claim_keys"))
        #expect(try claim(&folding, "k") == ["t1.1"])
        #expect(try claim(&folding, "k") == ["t1.1"])
    }

    @Test func `what is remembered is bounded, and the next key is refused until some are too old`() throws {
        var folding = try tasks(1)
        for number in 0..<100_000 {
            var assignment = Event.Assignment(task: "t0", worker: "w", attempt: UInt32(number + 1))
            assignment.claimKey = "k\(number % 1000)"
            try folding.fold(.assigned(assignment))
        }
        // A second each: all but the last ten minutes of them are forgotten.
        var request = ManagerState.ClaimRequest(worker: "w", count: 99_401)
        request.key = "new"
        let now = try #require(folding.state.time)
        let refused = #expect(throws: Rejection.self) { try folding.state.repeatedClaim(request, now: now) }
        #expect(refused?.status == 503)
        request.count = 99_000
        #expect(try folding.state.repeatedClaim(request, now: now) == nil)
    }
}
