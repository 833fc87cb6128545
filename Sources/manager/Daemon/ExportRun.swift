import Crypto
import EventLog
import Projections

/// Makes a new data directory whose journal begins with what the tasks of another one were at a moment.
///
/// Order of effects, and what is found if the power goes between them: everything is written below a name beside the
/// target, `TARGET.export.tmp` (the first segment whole, then the state file); then that directory is renamed to the
/// target, and the directory above synced. Before the rename there is no target, and the next export to it writes over
/// what was left; after it, all of it is there.
struct ExportRun {
    let data: DataDirectory
    let target: String

    /// What was written.
    struct Done: Sendable {
        var state: ManagerState
        /// The moment's last event, in the journal that it comes from.
        var source: LogPosition
        var isBeyondEnd = false
    }

    /// Writes it. Throws a sentence where the target stands and is not an empty directory.
    func run(_ moment: Moment, actor: String) throws -> Done {
        let files = data.fileSystem
        if let standing = try files.metadata(target) {
            guard standing.isDirectory, try files.list(target).isEmpty else {
                throw VerbFailure("\(target) stands there already: name a new directory", status: 1)
            }
        }
        let found = try MomentReader(data).state(at: moment)
        let new = DataDirectory(target + ".export.tmp", on: files)
        try files.createDirectories(new.path)
        let last = try FirstSegment.write(new.journal, at: LogTime.now()) { write throws(JournalError) in
            try commands(found.state, actor, write)
        }
        let state = try Replay.state(at: .now, in: new.journal).state
        precondition(state.position == last, "the journal that was just written ends elsewhere")
        try SnapshotService.write(state, to: new, paced: false)
        try files.syncDirectory(new.path)
        try files.rename(new.path, to: target)
        try files.syncDirectory(parentDirectory(of: target))
        return Done(state: state, source: found.state.position, isBeyondEnd: found.isBeyondEnd)
    }

    private func commands(
        _ state: ManagerState, _ actor: String, _ body: (EncodedCommand) throws(JournalError) -> Void
    ) throws(JournalError) {
        var command = EncodedCommand()
        let note = TransferNote.imported(state, from: data.path, kind: "export", tasks: state.taskCount)
        command.append { note.encode(actor: actor, to: &$0) }
        for number in 0..<state.taskCount {
            var own = EncodedCommand()
            for event in state.transferEvents(of: number) { own.append { event.encode(actor: actor, to: &$0) } }
            for index in 0..<own.count {
                let range = own.range(index)
                // A task's events stay together unless they alone are too many.
                let (events, bytes) = index == 0 ? (own.count, own.bytes.count) : (1, range.count)
                if command.count > 0,
                    command.count + min(events, Bounds.commandEvents) > Bounds.commandEvents
                        || command.bytes.count + bytes > Bounds.commandBytes
                {
                    try body(command)
                    command.removeAll()
                }
                command.append { $0 += own.bytes[range] }
            }
        }
        try body(command)
    }
}

/// The `imported` note of tasks that come from another journal.
enum TransferNote {
    /// `kind`: `export`, `directory`, `python` or `tasks`. `state`: what they come from; nil for a list of tasks.
    static func imported(_ state: ManagerState?, from source: String, kind: String, tasks: Int) -> Event {
        func text(_ value: String) -> [UInt8] {
            var out: [UInt8] = []
            appendJSONString(value, to: &out)
            return out
        }
        var members: [(key: String, json: [UInt8])] = [
            ("source", text(source)), ("kind", text(kind)), ("tasks", Array("\(tasks)".utf8)),
        ]
        if let state {
            members.append(("from_seq", Array("\(state.position)".utf8)))
            if let time = state.time { members.append(("at", text(time.description))) }
            for status in TaskStatus.allCases {
                members.append((status.word, Array("\(state.counts[status])".utf8)))
            }
        }
        return .note(type: "imported", members: members)
    }
}
