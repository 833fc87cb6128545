import EventLog
import Projections

/// Writes journals of random events, most of them likely, some of them odd but legal: events are facts.
public struct RandomJournal {
    private var numbers: SeededGenerator
    private var ids: [String] = []
    private var attempts: [String: UInt32] = [:]
    private var clock = LogTime(microseconds: 1_700_000_000_000_000)

    /// Begins with a seed.
    public init(seed: UInt64) { numbers = SeededGenerator(seed) }

    /// Writes about so many events to the journal of a data directory, in segments of so many bytes, none before a time.
    public mutating func write(
        events count: Int, to dataDirectory: String, segmentBytes: Int64, notBefore time: LogTime? = nil
    ) throws {
        if let time, time > clock { clock = time }
        let directory = JournalDirectory(dataDirectory + "/journal", on: LocalFileSystem())
        let store = LocalJournalStore(directory, segmentBytes: segmentBytes)
        let writer = LogWriter(
            store, opened: try store.open(RecoveryHints()), segmentBytes: segmentBytes, onDurable: { _ in },
            onFailure: { preconditionFailure("the journal cannot be written: \($0)") })
        var written = 0
        while written < count {
            let events = command()
            var encoded = EncodedCommand()
            for event in events {
                encoded.append { event.encode(actor: "cli:test", to: &$0) }
            }
            // Several commands may carry one time.
            if Bool.random(using: &numbers) {
                clock = clock.advanced(bySeconds: Double.random(in: 0..<90, using: &numbers))
            }
            let appended = writer.append(encoded, time: clock)
            writer.waitUntilDurable(appended.last)
            written += events.count
        }
        writer.close()
    }

    private mutating func command() -> [Event] {
        if ids.count < 3 || Int.random(in: 0..<12, using: &numbers) == 0 { return adding() }
        let id = ids.randomElement(using: &numbers) ?? "none"
        let worker = "w\(Int.random(in: 0..<5, using: &numbers))"
        let attempt = attempts[id] ?? 0
        switch Int.random(in: 0..<20, using: &numbers) {
        case 0..<7:
            attempts[id] = attempt + 1
            return [.assigned(Event.Assignment(task: id, worker: worker, attempt: attempt + 1))]
        case 7..<11:
            var completion = Event.Completion(task: id, worker: worker, attempt: attempt)
            if Bool.random(using: &numbers) { completion.result = Array(#"{"y":0.5}"#.utf8) }
            return [.completed(completion)]
        case 11..<13:
            let failure = Event.Failure(task: id, worker: worker, attempt: attempt, error: "boom \"\(attempt)\" ü")
            let goesOn = Bool.random(using: &numbers)
            return [.failed(failure)] + (goesOn ? [.requeued(task: id, reason: .retry)] : [])
        case 13:
            let silence = Event.Silence(seconds: 7201.5, limitSeconds: 7200, rule: .staleAfter)
            return [.requeued(task: id, reason: .stale, silence: silence)]
        case 14: return [.requeued(task: id, reason: .workerLost), .held(task: id, reason: "poison")]
        case 15: return [.requeued(task: id, reason: Bool.random(using: &numbers) ? .operator : .returned)]
        case 16: return [.cancelled(task: id, reason: nil)]
        case 17: return [.held(task: id, reason: "look"), .prioritised(task: id, priority: 3), .released(task: id)]
        case 18: return [.extended(task: id, outputDirectories: ["results_\(worker)"])]
        default: return [.started(version: "1", host: "h", pid: 1)]
        }
    }

    private mutating func adding() -> [Event] {
        (0..<Int.random(in: 1..<9, using: &numbers)).map { _ in
            let phase = "p\(Int.random(in: 0..<3, using: &numbers))"
            let id = "\(phase)_\(ids.count)_ü\"x"
            ids.append(id)
            var spec = TaskSpec(
                phase: phase, config: Array(#"{"x":\#(ids.count)}"#.utf8), outputDirectories: ["results_\(phase)"])
            if phase == "p2" { spec.after = ["p0", "p1"] }
            return .added(id: id, spec: spec, counter: Int64(ids.count))
        }
    }

    /// The ids that were added.
    public var tasks: [String] { ids }
}
