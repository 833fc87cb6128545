import EventLog
import Projections
import TestSupport
import Testing

@Suite("Tasks for another journal")
struct TransferTests {
    private func fold(_ events: [Event], into state: inout ManagerState) throws {
        for event in events {
            var body: [UInt8] = []
            event.encode(actor: nil, to: &body)
            try body.withUnsafeBufferPointer { bytes in
                state.apply(
                    try EventView(bytes), at: state.position.next, time: LogTime(microseconds: 1_800_000_000_000_000),
                    crc: 7)
            }
        }
    }

    private func members(_ state: ManagerState, _ id: String) -> [String: Substring] {
        let json = String(decoding: state.taskJSON(id) ?? [], as: UTF8.self)
        var found: [String: Substring] = [:]
        for name in [
            "status", "assigned_to", "assigned_at", "retry_count", "last_error", "attempt", "priority", "config",
        ] {
            guard let range = json.firstRange(of: "\"\(name)\":") else { continue }
            found[name] = json[range.upperBound...].prefix { $0 != "," && $0 != "}" }
        }
        return found
    }

    @Test("status, attempts, retries, errors and content are the same there, for any history")
    func anyHistory() throws {
        for seed in 1...200 as ClosedRange<UInt64> {
            var generator = SeededGenerator(seed)
            var folding = Folding()
            for id in 0..<6 { try folding.add("t\(id)", priority: id) }
            for _ in 0..<50 {
                let id = "t\(Int.random(in: 0..<6, using: &generator))"
                switch Int.random(in: 0..<9, using: &generator) {
                case 0...2: _ = try folding.claim("w\(Int.random(in: 0..<3, using: &generator))")
                case 3: try folding.fail(id)
                case 4:
                    let report = try? folding.state.decideComplete(id, by: .init(worker: "w1"), result: nil)
                    if case .events(let events, _) = report { for event in events { try folding.fold(event) } }
                case 5:
                    guard folding.state.status(of: id) == .assigned else { continue }
                    try folding.fold(.requeued(task: id, reason: .stale))
                default:
                    let all: [ManagerState.Operation] = [.cancel, .hold, .release, .requeue, .retry]
                    let act = all[Int.random(in: 0..<5, using: &generator)]
                    if let events = try? folding.state.decide(act, id) {
                        for event in events { try folding.fold(event) }
                    }
                }
            }
            var other = ManagerState()
            for number in 0..<folding.state.taskCount {
                try fold(folding.state.transferEvents(of: number), into: &other)
            }
            for id in 0..<6 {
                let (here, there) = (members(folding.state, "t\(id)"), members(other, "t\(id)"))
                for name in ["status", "retry_count", "attempt", "priority", "config"] {
                    #expect(here[name] == there[name], "seed \(seed), t\(id), \(name)")
                }
                if here["status"] == "\"assigned\"" {
                    #expect(here["assigned_to"] == there["assigned_to"], "seed \(seed), t\(id)")
                    #expect(here["assigned_at"] == there["assigned_at"], "seed \(seed), t\(id)")
                }
                #expect(here["last_error"] == there["last_error"], "seed \(seed), t\(id)")
                if here["status"] == "\"cancelled\"" || here["status"] == "\"complete\"" {
                    #expect(here["assigned_to"] == there["assigned_to"], "seed \(seed), t\(id)")
                }
                #expect(other.spec(of: id) == folding.state.spec(of: id))
            }
        }
    }
}
