import EventLog
import Projections
import Testing

@testable import manager

@Suite("The index of tasks by their key columns")
struct RowIndexTests {
    /// A state with tasks of these phases, configs and keys.
    private func state(_ tasks: [(phase: String, config: String, key: [String])]) throws -> ManagerState {
        var state = ManagerState()
        for (number, task) in tasks.enumerated() {
            var spec = TaskSpec(
                phase: task.phase, config: Array(task.config.utf8), outputDirectories: ["results_p"])
            spec.key = task.key
            var body: [UInt8] = []
            Event.added(id: "t\(number)", spec: spec, counter: nil).encode(actor: nil, to: &body)
            try body.withUnsafeBufferPointer {
                state.apply(
                    try EventView($0), at: state.position.next, time: LogTime(microseconds: 1_000_000), crc: 0)
            }
        }
        return state
    }

    private func match(_ index: RowIndex, _ state: ManagerState, _ header: String, _ line: String) throws
        -> RowIndex.Match
    {
        var reader = CSVReader(Array("\(header)\n\(line)\n".utf8))
        let (first, second) = (reader.next(), reader.next())
        let columns = ResultFile.Header(try #require(first)).columns
        return index.match(try #require(second), columns, state)
    }

    @Test("finds the one task, however its numbers are spelled, and whatever other columns there are")
    func one() throws {
        let state = try state([
            ("a", #"{"width":1}"#, ["phase", "seed", "width"]), ("a", #"{"width":4}"#, ["phase", "seed", "width"]),
        ])
        var index = RowIndex()
        index.extend(to: state)
        #expect(try match(index, state, "acc,width,seed,phase", "0.5,4.0,42.0,a") == .task(1))
        #expect(try match(index, state, "acc,width,seed,phase", "0.5,5,42,a") == .none(missing: []))
    }

    @Test("tells tasks that it cannot tell apart, and grows with the state")
    func several() throws {
        let first: [(String, String, [String])] = [("a", #"{"width":1}"#, ["phase"])]
        var index = RowIndex()
        index.extend(to: try state(first))
        let grown = try state(first + [("a", #"{"width":2}"#, ["phase"]), ("a", #"{"width":2,"b":1}"#, ["width"])])
        index.extend(to: grown)
        #expect(index.count == 3)
        #expect(try match(index, grown, "phase,x", "a,1") == .several(1, 0))
    }

    @Test("tells what a file lacks, but only of the phases that a row can belong to")
    func missing() throws {
        let state = try state([
            ("a", #"{"width":1}"#, ["phase", "seed", "width"]), ("b", #"{"lr":1}"#, ["phase", "seed", "lr"]),
        ])
        var index = RowIndex()
        index.extend(to: state)
        #expect(
            try match(index, state, "phase,seed", "a,42")
                == .none(missing: [RowIndex.Missing(columns: ["width"], phase: "a")]))
        #expect(
            try match(index, state, "seed,width", "42,1")
                == .none(missing: [
                    RowIndex.Missing(columns: ["phase"], phase: "a"),
                    RowIndex.Missing(columns: ["phase", "lr"], phase: "b"),
                ]))
        #expect(try match(index, state, "phase,seed,width", "b,42,1") != .task(0))
    }

    @Test("text that looks like a number is compared as text where the config has text")
    func numericText() throws {
        let state = try state([("a", #"{"v":"1.10"}"#, ["v"]), ("a", #"{"v":"1.1"}"#, ["v"])])
        var index = RowIndex()
        index.extend(to: state)
        #expect(try match(index, state, "v", "1.10") == .task(0))
        #expect(try match(index, state, "v", "1.1") == .task(1))
    }

    @Test("a hundred thousand rows find their tasks among a hundred thousand in one look-up each")
    func large() throws {
        let count = 100_000
        var tasks: [(String, String, [String])] = []
        for number in 0..<count { tasks.append(("a", #"{"i":\#(number)}"#, ["phase", "seed", "i"])) }
        let state = try state(tasks)
        var index = RowIndex()
        let clock = ContinuousClock()
        let elapsed = try clock.measure {
            index.extend(to: state)
            for number in stride(from: 0, to: count, by: 1) {
                guard number % 10 == 0 else { continue }
                let found = try match(index, state, "phase,seed,i", "a,42,\(number).0")
                #expect(found == .task(number))
            }
        }
        // A scan of all tasks for each row would take hours.
        #expect(elapsed < .seconds(120), "\(elapsed)")
    }
}
