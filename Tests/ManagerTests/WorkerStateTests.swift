import Testing

@testable import manager

@Suite struct WorkerStateTests {
    private let task = benchTask()
    private let report = RunReport(host: "here", durationSeconds: 1)

    private func end(_ outcome: ProgramOutcome?, trouble: String? = nil) -> ProgramRunner.End {
        ProgramRunner.End(outcome: outcome, report: report, hostTrouble: trouble)
    }

    private func kept(_ outcome: ProgramOutcome) -> KeptOutcome {
        KeptOutcome(worker: "w", reference: task.reference, outcome: outcome, report: report)
    }

    /// A state after these inputs.
    private func state(_ inputs: WorkerState.Input...) -> WorkerState {
        var state = WorkerState(worker: "w")
        for input in inputs { _ = state.handle(input) }
        return state
    }

    @Test func `a task is claimed, run, kept, delivered, forgotten, and the next one claimed`() {
        let outcome = kept(.complete(result: nil))
        var state = WorkerState(worker: "w")
        #expect(state.handle(.begin) == [.claim])
        #expect(state.handle(.claimed(task)) == [.run(task)])
        #expect(state.handle(.ended(end(.complete(result: nil)))) == [.keep(outcome)])
        #expect(state.handle(.kept) == [.deliver(outcome)])
        #expect(state.handle(.answered(.taken)) == [.forget(task.reference)])
        #expect(state.handle(.forgotten) == [.claim])
    }

    @Test func `no task within the wait is asked for again at once, no answer after a pause that grows`() {
        var state = state(.begin)
        #expect(state.handle(.claimed(nil)) == [.claim])
        #expect(state.handle(.claimFailed(.unavailable("x"))) == [.pause(failures: 1)])
        #expect(state.handle(.pauseOver) == [.claim])
        #expect(state.handle(.claimFailed(.unavailable("x"))) == [.pause(failures: 2)])
    }

    @Test func `a worker that is refused ends with the reason`() {
        var state = state(.begin)
        #expect(
            state.handle(.claimFailed(.refused("no token"))) == [
                .finish(error: "the manager refuses this worker: no token")
            ])
    }

    @Test func `an end that is not taken is tried until it is`() {
        let outcome = kept(.failed(error: "e"))
        var state = state(.begin, .claimed(task), .ended(end(.failed(error: "e"))), .kept)
        for failures in 1...50 {
            #expect(state.handle(.answered(.unavailable("full"))) == [.pause(failures: failures)])
            #expect(state.handle(.pauseOver) == [.deliver(outcome)])
        }
        #expect(state.handle(.answered(.refused("409"))) == [.forget(task.reference)])
    }

    @Test func `a superseded attempt is stopped and nothing is said about it`() {
        var state = state(.begin, .claimed(task))
        #expect(state.handle(.attemptLost(.init(task: "other", attempt: 1))) == [])
        #expect(state.handle(.attemptLost(task.reference)) == [.stop(.superseded)])
        #expect(state.handle(.ended(end(nil))) == [.discard(task.reference)])
        #expect(state.handle(.forgotten) == [.claim])
    }

    @Test func `a heartbeat's answer after the end changes nothing`() {
        var state = state(.begin, .claimed(task), .ended(end(.returned)))
        #expect(state.handle(.attemptLost(task.reference)) == [])
    }

    @Test func `tasks that come back at once are claimed more and more slowly, until one ends well`() {
        var state = state(.begin)
        for failures in 1...3 {
            _ = state.handle(.claimed(task))
            _ = state.handle(.ended(end(.returned)))
            _ = state.handle(.kept)
            _ = state.handle(.answered(.taken))
            #expect(state.handle(.forgotten) == [.pause(failures: failures)])
            #expect(state.handle(.pauseOver) == [.claim])
        }
        _ = state.handle(.claimed(task))
        _ = state.handle(.ended(end(.complete(result: nil))))
        _ = state.handle(.kept)
        _ = state.handle(.answered(.taken))
        #expect(state.handle(.forgotten) == [.claim])
    }

    @Test func `a task that other slots have given back too is waited after for as long as all of them are worth`() {
        let returned = ReturnedTasks()
        #expect(returned.note("t", isReturned: true) == 1)
        #expect(returned.note("other", isReturned: true) == 1)
        #expect(returned.note("t", isReturned: true) == 2)
        var last = end(.returned)
        last.timesReturned = returned.note("t", isReturned: true)
        var state = state(.begin, .claimed(task), .ended(last), .kept, .answered(.taken))
        #expect(state.handle(.forgotten) == [.pause(failures: 3)])
        #expect(returned.note("t", isReturned: false) == 0)
        #expect(returned.note("t", isReturned: true) == 1)
        for number in 0..<20_000 { _ = returned.note("\(number)", isReturned: true) }
        #expect(returned.note("19999", isReturned: true) == 2)
    }

    @Test func `draining before the beginning ends at once`() {
        var state = WorkerState(worker: "w")
        #expect(state.handle(.drain) == [.finish(error: nil)])
    }

    @Test func `draining calls a claim off, and gives back what it still brought`() {
        var state = state(.begin)
        #expect(state.handle(.drain) == [.callOffClaim])
        guard case .deliver(let outcome) = state.handle(.claimed(task)).first else {
            Issue.record("nothing was delivered")
            return
        }
        #expect(outcome.outcome == .returned && outcome.reference == task.reference)
        #expect(state.handle(.answered(.taken)) == [.forget(task.reference)])
        #expect(state.handle(.forgotten) == [.finish(error: nil)])
    }

    @Test func `draining stops a program, keeps its end and delivers it`() {
        let outcome = kept(.returned)
        var state = state(.begin, .claimed(task))
        #expect(state.handle(.drain) == [.stop(.drained)])
        #expect(state.handle(.drain) == [])
        #expect(state.handle(.ended(end(.returned))) == [.keep(outcome)])
        #expect(state.handle(.kept) == [.deliver(outcome)])
        #expect(state.handle(.answered(.taken)) == [.forget(task.reference)])
        #expect(state.handle(.forgotten) == [.finish(error: nil)])
    }

    @Test func `what is not taken while draining stays in the outbox after three tries`() {
        var state = state(.begin, .claimed(task), .ended(end(.complete(result: nil))), .kept)
        #expect(state.handle(.answered(.unavailable("x"))) == [.pause(failures: 1)])
        #expect(state.handle(.drain) == [.endPause])
        #expect(state.handle(.pauseOver) == [.deliver(kept(.complete(result: nil)))])
        #expect(state.handle(.answered(.unavailable("x"))) == [.pause(failures: 1)])
        _ = state.handle(.pauseOver)
        #expect(state.handle(.answered(.unavailable("x"))) == [.pause(failures: 2)])
        _ = state.handle(.pauseOver)
        #expect(state.handle(.answered(.unavailable("x"))) == [.finish(error: nil)])
    }
}
