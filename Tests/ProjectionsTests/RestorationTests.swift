import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@Suite("Back to another moment")
struct RestorationTests {
    /// A random act on a random task, whether it makes sense or not: events are facts.
    private func event(_ generator: inout SeededGenerator, _ state: ManagerState) -> Event {
        let id = "t\(Int.random(in: 0..<12, using: &generator))"
        let attempt = UInt32.random(in: 1...4, using: &generator)
        let reasons: [RequeueReason] = [.retry, .stale, .workerLost, .returned, .operator]
        switch Int.random(in: 0..<9, using: &generator) {
        case 0:
            let spec = TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["r"])
            return .added(id: id, spec: spec, counter: nil)
        case 1: return .assigned(Event.Assignment(task: id, worker: "w", attempt: attempt))
        case 2: return .completed(Event.Completion(task: id, worker: "w", attempt: attempt))
        case 3, 4: return .failed(Event.Failure(task: id, worker: "w", attempt: attempt, error: "boom \(attempt)"))
        case 5: return .requeued(task: id, reason: reasons[Int(attempt)])
        case 6: return .cancelled(task: id, reason: nil)
        case 7: return .held(task: id, reason: "why \(attempt)")
        default: return .released(task: id)
        }
    }

    private func json(_ state: ManagerState, _ number: Int) -> String {
        String(decoding: state.taskJSON("t\(number)") ?? [], as: UTF8.self)
    }

    private func member(_ name: String, _ json: String) -> Substring {
        json.components(separatedBy: "\"\(name)\":").dropFirst().first?.prefix { $0 != "," && $0 != "}" } ?? "none"
    }

    @Test("from any state to any other one: status and retry_count agree, attempts stay, a second time changes nothing")
    func anyToAny() throws {
        for seed in 1...300 as ClosedRange<UInt64> {
            var generator = SeededGenerator(seed)
            var folding = Folding()
            var earlier = [folding.state]
            for index in 1...60 {
                try folding.fold(event(&generator, folding.state))
                if index % 12 == 0 { earlier.append(folding.state) }
            }
            for then in earlier {
                var restored = folding
                var events: [Event] = []
                restored.state.restoration(to: then) { events += $1 }
                for event in events { try restored.fold(event) }
                for number in 0..<12 {
                    let id = "t\(number)"
                    let (now, past, before) = (
                        json(restored.state, number), json(then, number), json(folding.state, number)
                    )
                    #expect(member("attempt", now) == member("attempt", before), "seed \(seed), \(id)")
                    guard let status = then.status(of: id) else {
                        #expect([nil, .cancelled].contains(restored.state.status(of: id)), "seed \(seed), \(id)")
                        continue
                    }
                    #expect(
                        restored.state.status(of: id) == (status == .assigned ? .pending : status),
                        "seed \(seed), \(id)")
                    #expect(member("retry_count", now) == member("retry_count", past), "seed \(seed), \(id)")
                }
                var again = 0
                restored.state.restoration(to: then) { _, _ in again += 1 }
                #expect(again == 0, "seed \(seed)")
            }
        }
    }

    @Test("one step where one is enough, and retries one by one")
    func steps() throws {
        var folding = Folding()
        for id in ["a", "b"] { try folding.add(id) }
        try folding.fold(.held(task: "a", reason: "mine"))
        try folding.fold(.assigned(Event.Assignment(task: "b", worker: "w", attempt: 1)))
        try folding.fail("b")
        let then = folding.state
        try folding.fold(.released(task: "a"), .requeued(task: "b", reason: .operator))
        var steps: [[Event]] = []
        folding.state.restoration(to: then) { steps.append($1) }
        let failed = Event.Failure(task: "b", worker: nil, attempt: 0, error: "boom")
        #expect(
            steps == [
                [.held(task: "a", reason: "mine")], [.failed(failed), .requeued(task: "b", reason: .retry)],
            ])
    }
}
