import EventLog
import Projections

/// Brings tasks of elsewhere into a journal that may have tasks of its own: ids that stand are compared and stay as they
/// are.
///
/// Order of effects: the `imported` note and the tasks' events, one command after the other, a task's events together;
/// then the state file. Power lost between: some tasks are there whole, and the same import run again brings the others.
struct ImportRun {
    /// A task that comes.
    struct Item {
        var spec: TaskSpec
        /// The events that add it and bring it to its status.
        var events: [Event]
        /// What it has there; nil for a task that is only to be added.
        var status: TaskStatus?

        /// A task that is only to be added.
        init(_ spec: TaskSpec) {
            self.spec = spec
            events = [.added(id: spec.id ?? "", spec: spec, counter: nil)]
        }

        /// A task of a Python manager.
        init(_ task: PythonState.Task) {
            spec = task.spec
            spec.id = task.id
            events = PythonState.events(of: task)
            status = task.status
        }

        /// A task of a manager's state.
        init(_ state: ManagerState, _ number: Int) {
            spec = state.spec(of: number)
            events = state.transferEvents(of: number)
            status = state.status(of: spec.id ?? "")
        }
    }

    /// What was done.
    struct Report {
        var added = 0
        /// Ids that stand with the same content and, where that is known, the same status.
        var existing = 0
        /// Ids that stand with the same content and another status: here, there.
        var differing: [(task: String, here: TaskStatus, there: TaskStatus)] = []
        /// Ids that stand with other content, and tasks that cannot be taken: why.
        var refused: [String] = []
        var position = LogPosition.zero

        /// True where something came and none of it could be taken or stands.
        var isAllRefused: Bool { !refused.isEmpty && added + existing + differing.count == 0 }
    }

    let data: DataDirectory
    let warn: @Sendable (String) -> Void

    /// Does it; the lock is held until it returns. `note` stands before the first task.
    func run(_ items: [Item], note: Event, _ lock: DirectoryLock, actor: String) throws -> Report {
        let offline = try OfflineManager(data, lock, warn: warn)
        var report = Report()
        var groups: [[Event]] = [[note]]
        let state = offline.processor.snapshot
        var seen: Set<ExactText> = []
        for item in items {
            let id = item.spec.id ?? ""
            do throws(Rejection) {
                switch try state.admit(item.spec, id: id) {
                case .new where !seen.insert(ExactText(id)).inserted:
                    report.refused.append("task \(id) stands twice in what is imported")
                case .new: groups.append(item.events)
                case .existing:
                    if let here = state.status(of: id), let there = item.status, here != there {
                        report.differing.append((id, here, there))
                    } else {
                        report.existing += 1
                    }
                }
            } catch { report.refused.append(error.detail) }
        }
        report.added = groups.count - 1
        if report.added > 0 { BoundedCommands.write(groups, to: offline.processor, actor: actor) }
        report.position = offline.processor.snapshot.position
        try offline.close()
        return report
    }
}

extension ImportRun.Report {
    /// `{"added","existing","differing":[{"task","here","there"}],"refused":["…"],"seq"}`.
    var json: [UInt8] {
        var out = Array("{\"added\":\(added),\"existing\":\(existing),\"differing\":[".utf8)
        for (index, item) in differing.enumerated() {
            if index > 0 { out.append(44) }
            out += Array("{\"task\":".utf8)
            appendJSONString(item.task, to: &out)
            out += Array(",\"here\":\"\(item.here.word)\",\"there\":\"\(item.there.word)\"}".utf8)
        }
        out += Array("],\"refused\":".utf8)
        appendJSONStrings(refused, to: &out)
        return out + Array(",\"seq\":\(position)}\n".utf8)
    }

    /// For people; the first 20 of each list.
    var text: String {
        var text = "Imported \(added) \(added == 1 ? "task" : "tasks"); \(existing) stood already\n"
        let lists = [
            differing.map { "task \($0.task) is \($0.here.word) here and \($0.there.word) there; it stays as it is\n" },
            refused.map { "\($0); it is left out\n" },
        ]
        for list in lists {
            text += list.prefix(20).joined()
            if list.count > 20 { text += "… and \(list.count - 20) more\n" }
        }
        return text
    }
}
