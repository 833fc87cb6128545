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
        /// The first of them by id, in the order in which they were added; at most `mostNamed`.
        var goneTasks: [String] = []

        /// How many are named.
        static let mostNamed = 20

        /// The ids of those that are named, and how many there are besides: `p_0_42, p_1_42, … and 3 more`.
        var goneText: String {
            goneTasks.joined(separator: ", ")
                + (gone > goneTasks.count ? ", … and \(gone - goneTasks.count) more" : "")
        }

        /// `,"gone_tasks":[…]`; nothing where there are none.
        var goneMember: [UInt8] {
            guard gone > 0 else { return [] }
            var out = Array(",\"gone_tasks\":".utf8)
            appendJSONStrings(goneTasks, to: &out)
            return out
        }
    }

    let processor: CommandProcessor
    let data: DataDirectory

    /// Adds the points of files, in order.
    func load(_ sweeps: [SweepFile], actor: String?) throws(Rejection) -> Loaded {
        var loaded = Loaded()
        var refused: Rejection?
        var extended: [ExtendedRows.Wanted] = []
        var position = LogPosition.zero
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
                    let more = spec.outputDirectories.filter { !point.directories.containsExactly($0) }
                    if !more.isEmpty {
                        events.append(.extended(task: point.id, outputDirectories: more))
                        loaded.extended += 1
                        if let wanted = ExtendedRows.Wanted(number, directories: more, state) {
                            extended.append(wanted)
                        }
                    }
                    continue
                }
                var id = ManagerState.pointID(phase: spec.phase, counter: counter, seed: spec.seed)
                while state.taskNumber(id) != nil {
                    counter &+= 1
                    id = ManagerState.pointID(phase: spec.phase, counter: counter, seed: spec.seed)
                }
                events.append(.added(id: id, spec: spec, counter: counter))
                counter &+= 1
                loaded.added += 1
            }
            let gone = known.filter { !seen.contains($0.key) }.map(\.value).sorted()
            loaded.gone = gone.count
            loaded.goneTasks = gone.prefix(Loaded.mostNamed).map { state.point($0).id }
            do throws(Rejection) {
                if loaded.added > 0 { try processor.admit(bytes: min(events.count * 512, 32 << 20), core) }
                position = processor.append(events, actor: actor, &core, false)
                // From now on no snapshot passes the rows that complete tasks owe to their new directories.
                if !extended.isEmpty { processor.results.expect(position) }
            } catch { refused = error }
        }
        if let refused { throw refused }
        guard !extended.isEmpty else { return loaded }
        defer { processor.results.settle(position) }
        processor.writer.waitUntilDurable(position)
        do throws(JournalError) {
            try ExtendedRows(data: data, results: processor.results).write(
                extended, at: position, processor.snapshot)
        } catch { throw Rejection(.busy, error.description) }
        return loaded
    }
}
