import EventLog
import Projections

/// What rows of others need of the one way in.
extension CommandProcessor {
    /// Before tasks are opened again by an operator: notes how large the result files are, and puts before the events
    /// what has been read of the files and stands in no event yet. So the journal has, in order, that those rows were
    /// read before. The caller holds the core.
    func noteReopening(_ events: [Event], _ core: inout Core) -> [Event] {
        let tasks = events.compactMap { event -> String? in
            if case .requeued(let task, .operator, _) = event { task } else { nil }
        }
        guard !tasks.isEmpty else { return events }
        reopenings.note(tasks)
        guard !core.unrecordedReads.isEmpty else { return events }
        let reads = core.unrecordedReads.sorted { $0.key < $1.key }.map { Event.csvRead($0.value) }
        core.unrecordedReads = [:]
        return reads + events
    }
}
