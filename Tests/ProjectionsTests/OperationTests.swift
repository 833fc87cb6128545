import EventLog
import Testing

@testable import Projections

@Suite("What operators may do")
struct OperationTests {
    /// A state with one task of each status, named by it, in one phase.
    private func state() throws -> ManagerState {
        var state = ManagerState()
        var events: [Event] = []
        func add(_ id: String, phase: String = "p") {
            let spec = TaskSpec(id: id, phase: phase, config: Array("{}".utf8), outputDirectories: ["r"])
            events.append(.added(id: id, spec: spec, counter: nil))
        }
        for status in TaskStatus.allCases { add(status.word) }
        add("other", phase: "q")
        events.append(.assigned(Event.Assignment(task: "assigned", worker: "w", attempt: 1)))
        events.append(.completed(Event.Completion(task: "complete", worker: nil, attempt: 0)))
        events.append(.failed(Event.Failure(task: "failed", worker: nil, attempt: 0, error: "e")))
        events.append(.cancelled(task: "cancelled", reason: nil))
        events.append(.held(task: "held", reason: nil))
        for (index, event) in events.enumerated() {
            var body: [UInt8] = []
            event.encode(actor: nil, to: &body)
            try body.withUnsafeBufferPointer {
                state.apply(
                    try EventView($0), at: LogPosition(UInt64(index + 1)), time: LogTime(microseconds: 1), crc: 0)
            }
        }
        return state
    }

    @Test(
        "each operation applies to these statuses, changes nothing for those, and is refused for the rest",
        arguments: [
            (ManagerState.Operation.cancel, "pending assigned held failed", "cancelled"), (.hold, "pending", "held"),
            (.release, "held", "pending"), (.requeue, "assigned failed cancelled complete", "pending"),
            (.retry, "failed cancelled", "pending"),
        ])
    func table(operation: ManagerState.Operation, applies: String, isSo: String) throws {
        let state = try state()
        for status in TaskStatus.allCases {
            let target = ManagerState.OperationTarget.ids([status.word])
            if applies.split(separator: " ").contains(Substring(status.word)) {
                #expect(try state.decide(operation, on: target).count == 1, "\(operation) \(status)")
            } else if isSo == status.word {
                #expect(try state.decide(operation, on: target).isEmpty, "\(operation) \(status)")
            } else {
                #expect(throws: Rejection.self, "\(operation) \(status)") {
                    try state.decide(operation, on: target)
                }
            }
        }
    }

    @Test("a filter takes the tasks to which the operation applies; a list with one bad id is refused whole")
    func targets() throws {
        let state = try state()
        var filter = TaskFilter()
        filter.phase = "p"
        #expect(try state.decide(.cancel, on: .matching(filter)).count == 4)
        filter.statuses = [.held, .complete]
        #expect(try state.decide(.cancel, on: .matching(filter)) == [.cancelled(task: "held", reason: nil)])
        #expect(try state.decide(.priority, on: .matching(TaskFilter()), priority: 3).count == 7)
        #expect(try state.decide(.cancel, on: .ids(["held", "held"])).count == 1)
        #expect(throws: Rejection.self) { try state.decide(.cancel, on: .ids(["held", "nobody"])) }
        filter.phase = "nothing"
        #expect(throws: Rejection.self) { try state.decide(.cancel, on: .matching(filter)) }
    }

    @Test("pages go on after their last task")
    func pages() throws {
        let state = try state()
        let first = state.tasks(matching: TaskFilter(), limit: 3)
        #expect(first == ManagerState.TaskPage(numbers: [0, 1, 2], hasMore: true))
        #expect(state.tasks(matching: TaskFilter(), from: 3).numbers == [3, 4, 5, 6])
        #expect(state.tasks(matching: TaskFilter(), from: 7).numbers.isEmpty)
        var filter = TaskFilter()
        filter.worker = "w"
        #expect(state.tasks(matching: filter).numbers.map(state.taskID) == ["assigned"])
    }
}
