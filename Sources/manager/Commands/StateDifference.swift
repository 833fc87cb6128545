import EventLog
import Projections

/// Where a saved state and the journal's own part: between the newest state that agrees and the one that does not, as far
/// as the tasks that differ tell.
struct StateDifference {
    /// One task that differs.
    struct Task {
        var id: String
        /// The first event after which the saved task is not the journal's any more; nil: none in between tells.
        var parts: LogPosition?
        /// Its last event in between.
        var last: LogPosition?
    }

    /// The newest position at which a saved state agreed; 0: the empty state.
    let after: LogPosition
    /// That state's file; nil for the empty state.
    let agreedFile: String?
    /// Tasks that differ, at most 1000.
    private(set) var tasks: [Task] = []

    private static let most = 1000

    private struct Watched {
        var task: Task
        var theirs: [UInt8]
    }

    /// Compares and replays the events after `agreed`. `theirs` and `ours` stand at the same event.
    init(
        _ theirs: ManagerState, _ ours: ManagerState, _ agreed: ManagerState, agreedFile: String?,
        _ journal: JournalDirectory
    ) throws(JournalError) {
        after = agreed.position
        self.agreedFile = agreedFile
        var watched: [String: Watched] = [:]
        let ids = (0..<ours.taskCount).map { ours.point($0).id } + (0..<theirs.taskCount).map { theirs.point($0).id }
        for id in ids where watched[id] == nil && watched.count < Self.most {
            let saved = Self.task(id, theirs)
            guard saved != Self.task(id, ours) else { continue }
            watched[id] = Watched(task: Task(id: id), theirs: saved)
        }
        if !watched.isEmpty {
            var state = agreed
            try LogReader(journal, from: agreed.position.next).forEach { line throws(JournalError) in
                guard line.position <= ours.position else { return false }
                do throws(EventError) {
                    let event = try EventView(line)
                    state.apply(event, at: line.position, time: line.time, crc: line.crc)
                    let id = String(decoding: event.task, as: UTF8.self)
                    guard watched[id] != nil else { return true }
                    let isEqual = Self.task(id, state) == watched[id]?.theirs
                    watched[id]?.task.last = line.position
                    if isEqual {
                        watched[id]?.task.parts = nil
                    } else if watched[id]?.task.parts == nil {
                        watched[id]?.task.parts = line.position
                    }
                } catch { return false }
                return true
            }
        }
        tasks = watched.values.map(\.task).sorted {
            ($0.parts?.rawValue ?? .max, $0.id) < ($1.parts?.rawValue ?? .max, $1.id)
        }
    }

    private static func task(_ id: String, _ state: ManagerState) -> [UInt8] {
        guard let number = state.taskNumber(id) else { return [] }
        var out: [UInt8] = []
        state.appendTask(number, to: &out)
        return out
    }

    /// The first event at which the states part, as far as can be known.
    var first: LogPosition? { tasks.compactMap(\.parts).min() }

    /// One sentence.
    var summary: String {
        let since = agreedFile.map { "\($0) (seq \(after)) still agrees" } ?? "no older saved state agrees"
        guard !tasks.isEmpty else { return "\(since); its tasks are the journal's, but what stands in 'more' is not" }
        let place = first.map { "they part at seq \($0)" } ?? "no event in between tells where they part"
        return "\(since), \(place); \(tasks.count)\(tasks.count == Self.most ? " or more" : "") tasks differ"
    }

    /// A line for each of the first 20 tasks.
    var list: String {
        var text = ""
        for task in tasks.prefix(20) {
            text += "  \(task.id): "
            text += task.parts.map { "parts at seq \($0)" } ?? "no event of it lies in between"
            text += task.last.map { ", its last event is seq \($0)\n" } ?? "\n"
        }
        if tasks.count > 20 { text += "  … and \(tasks.count - 20) more\n" }
        return text
    }

    /// Members of an object.
    func json(_ quoted: (String) -> String) -> String {
        func number(_ position: LogPosition?) -> String { position.map { "\($0)" } ?? "null" }
        let list = tasks.map {
            "{\"task\":\(quoted($0.id)),\"seq\":\(number($0.parts)),\"last_seq\":\(number($0.last))}"
        }
        return "\"after_seq\":\(after),\"first_seq\":\(number(first)),\"tasks\":[\(list.joined(separator: ","))],"
            + "\"detail\":\(quoted(summary))"
    }
}
