import EventLog
import Projections
import Synchronization

/// Which events are shown.
struct EventFilter: Sendable {
    var types: Set<String> = []
    var task: [UInt8]?
    var worker: [UInt8]?
    var since: LogTime?
    var phase: PhaseFilter?

    /// Whether an event is shown.
    func shows(_ line: LogLine, _ event: EventView) -> Bool {
        // Asked first: it learns from what others leave out.
        if let phase, !phase.means(event) { return false }
        if let since, line.time < since { return false }
        if !types.isEmpty, !types.contains(String(decoding: event.type, as: UTF8.self)) { return false }
        if let task, !event.task.elementsEqual(task) { return false }
        if let worker, event.worker.map({ !$0.elementsEqual(worker) }) ?? true { return false }
        return true
    }

    /// The task and the worker that are named, for people; nil where none is.
    var names: String? {
        let named = [("task", task), ("worker", worker)].compactMap { what, name in
            name.map { "\(what) '\(String(decoding: $0, as: UTF8.self))'" }
        }
        return named.isEmpty ? nil : named.joined(separator: " and ")
    }
}

/// Tells whether an event is of a phase's task: only `added` names the phase, everything else the task alone.
final class PhaseFilter: Sendable {
    /// The phase of a task that stands; nil for an unknown one.
    typealias Lookup = @Sendable (EventView.Bytes) -> String?

    private let phase: String
    private let lookup: Lookup
    /// The phase's tasks that were added later than what `lookup` knows.
    private let added = Mutex<Set<ExactText>>([])

    /// `lookup` is asked for tasks that no shown `added` event has named.
    init(_ phase: String, _ lookup: @escaping Lookup) {
        self.phase = phase
        self.lookup = lookup
    }

    /// Knows the tasks of a state, and those that are added in the events that it is shown.
    convenience init(_ phase: String, _ state: ManagerState) { self.init(phase) { state.phase(ofTask: $0) } }

    /// Whether an event is meant.
    func means(_ event: EventView) -> Bool {
        guard event.kind != .note, !event.task.isEmpty else { return false }
        if event.kind == .added {
            guard event.phase.elementsEqual(phase.utf8) else { return false }
            if lookup(event.task) == nil {
                _ = added.withLock { $0.insert(ExactText(String(decoding: event.task, as: UTF8.self))) }
            }
            return true
        }
        if let known = lookup(event.task) { return known.utf8.elementsEqual(phase.utf8) }
        return added.withLock { $0.contains(ExactText(String(decoding: event.task, as: UTF8.self))) }
    }
}
