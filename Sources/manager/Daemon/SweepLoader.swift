import EventLog
import Projections
import Synchronization

/// Compares sweeps' points with the tasks that stand, and adds what is new.
struct SweepLoader {
    /// What loading did.
    struct Loaded: Sendable, Equatable {
        var added = 0
        var existing = 0
        var extended = 0
        /// Points that stand in the journal for these phases but no longer in the files.
        var gone = 0
    }

    let processor: CommandProcessor
    let data: DataDirectory

    /// Adds the points of files, in order.
    func load(_ sweeps: [SweepFile], actor: String?) throws(Rejection) -> Loaded {
        var loaded = Loaded()
        var refused: Rejection?
        var extendedComplete: [(task: String, directory: String)] = []
        processor.core.withLock { core in
            let state = core.state
            var known: [PointKey: Int] = [:]
            let phases = Set(sweeps.flatMap { $0.phases.map(\.name) })
            for number in 0..<state.taskCount {
                let point = state.point(number)
                guard phases.contains(point.phase) else { continue }
                known[PointKey(phase: point.phase, config: point.config)] = number
            }
            var events: [Event] = []
            var seen: Set<PointKey> = []
            var counter = state.nextCounter
            for spec in sweeps.flatMap(\.phases).map(\.points).joined() {
                let key = PointKey(phase: spec.phase, config: spec.config)
                guard seen.insert(key).inserted || known[key] != nil else {
                    loaded.existing += 1
                    continue
                }
                if let number = known[key] {
                    loaded.existing += 1
                    let point = state.point(number)
                    let more = spec.outputDirectories.filter { !point.directories.contains($0) }
                    if !more.isEmpty {
                        events.append(.extended(task: point.id, outputDirectories: more))
                        loaded.extended += 1
                        if point.isComplete { extendedComplete += more.map { (point.id, $0) } }
                    }
                    continue
                }
                var id = ManagerState.pointID(phase: spec.phase, counter: counter, seed: spec.seed)
                while state.taskNumber(id) != nil {
                    counter += 1
                    id = ManagerState.pointID(phase: spec.phase, counter: counter, seed: spec.seed)
                }
                events.append(.added(id: id, spec: spec, counter: counter))
                counter += 1
                loaded.added += 1
            }
            loaded.gone = known.keys.count { !seen.contains($0) }
            do throws(Rejection) {
                if loaded.added > 0 { try processor.admit(bytes: min(events.count * 512, 32 << 20), core) }
                processor.append(events, actor: actor, &core, false)
            } catch { refused = error }
        }
        if let refused { throw refused }
        try writeRows(extendedComplete)
        return loaded
    }

    /// A complete task's row goes to a new directory too: its result stands in the journal.
    private func writeRows(_ wanted: [(task: String, directory: String)]) throws(Rejection) {
        guard !wanted.isEmpty else { return }
        let position = processor.snapshot.position
        processor.writer.waitUntilDurable(position)
        let tasks = Dictionary(grouping: wanted, by: \.task)
        var rows: [String: (attempt: UInt32, result: [UInt8])] = [:]
        do throws(JournalError) {
            try LogReader(data.journal, prefetching: true).forEach { line throws(JournalError) in
                let event: EventView
                do throws(EventError) { event = try EventView(line.body) } catch { return true }  // replayed before
                guard let result = event.result else { return true }
                let task = String(decoding: event.task, as: UTF8.self)
                if tasks[task] != nil { rows[task] = (event.attempt, Array(result)) }
                return true
            }
        } catch { throw Rejection(.busy, error.description) }
        let state = processor.snapshot
        for (task, found) in rows {
            guard let context = state.resultContext(of: task) else { continue }
            let row = ResultRow(
                task: task, attempt: Int(found.attempt), phase: context.phase, seed: context.seed,
                config: context.config, result: found.result, outputDirectories: (tasks[task] ?? []).map(\.directory),
                isForDataDirectory: false)
            processor.results.writeOwed([OwedRow(position: position, row: row)], outputDirectories: [])
        }
    }
}
