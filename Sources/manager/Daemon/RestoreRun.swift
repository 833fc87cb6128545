import EventLog
import Projections
import Synchronization

/// Brings status and retry_count of every task back to another moment's, by events of the journal's table.
///
/// Order of effects, and what the next start finds if the power goes between them: (1) all result files are read and how
/// far they were read is durable, so that their rows complete nothing again: nothing else has changed; (2) a backup:
/// likewise; (3) the commands, each durable before the next, the `restored` note first in the first one: some tasks stand
/// as at the moment, the others as before, and the same restore run again brings the rest there; (4) a backup; (5) the
/// state file. Nothing is ever cut from the journal.
struct RestoreRun {
    let data: DataDirectory
    /// Patterns of more result files of others.
    let results: [String]
    let warn: @Sendable (String) -> Void

    /// What is to change, or was changed.
    struct Report: Sendable {
        /// The moment's last event, and its time; nil before the first.
        var position: LogPosition
        /// See `position`.
        var time: LogTime?
        var tasks: [ManagerState.RestoredTask] = []
        var unchanged = 0
        var events = 0
        var commands = 0
        /// Tasks that rows of result files completed first.
        var completedByRows = 0
        var backupBefore: String?
        var backupAfter: String?
    }

    /// What would change, by the journal alone. Writes nothing.
    func plan(_ wanted: RestoreSource.Wanted) throws -> Report {
        Self.report(try MomentReader(data).state(at: .now).state, wanted) { _ in }
    }

    /// Does it. The lock is held until it returns.
    func run(_ source: RestoreSource, _ lock: DirectoryLock, actor: String) throws -> Report {
        let offline = try OfflineManager(data, lock, warn: warn)
        let outcome = Result { try restore(source, offline, actor: actor) }
        try offline.close()
        return try outcome.get()
    }

    private func restore(_ source: RestoreSource, _ offline: OfflineManager, actor: String) throws -> Report {
        let processor = offline.processor
        let wanted = try source.wanted(data)
        // Rows that stand in result files are read and noted before tasks are opened again.
        let completed = OfflineRows.read(data, processor, patterns: results, warn: warn)
        let backup = try backUp(processor)
        var events: [[Event]] = []
        let before = processor.snapshot
        var report = Self.report(before, wanted) { events.append($0) }
        report.completedByRows = completed
        report.backupBefore = backup
        let note = Self.note(report, wanted)
        if !events.isEmpty {
            let written = BoundedCommands.write([[note]] + events, to: processor, actor: actor)
            (report.commands, report.events) = (written.commands, written.events)
        }
        report.backupAfter = try backUp(processor)
        return report
    }

    /// No older one is removed: the one that is restored must still be there if this has to be run again.
    private func backUp(_ processor: CommandProcessor) throws -> String? {
        let state = processor.snapshot
        guard processor.results.isWritten(upTo: state.position) else {
            throw VerbFailure(
                "result rows are owed and cannot be written now (see above), so no backup can be: make room, or give the "
                    + "result files back, and restore again", status: 1)
        }
        try Backups(data, thinning: BackupThinning()).write(state, paced: false)
        return try BackupFile.all(data).last { $0.position == state.position }?.name
    }

    private static func report(
        _ now: ManagerState, _ wanted: RestoreSource.Wanted, _ body: ([Event]) -> Void
    ) -> Report {
        var report = Report(position: wanted.state.position, time: wanted.state.time)
        now.restoration(to: wanted.state) { task, events in
            report.tasks.append(task)
            body(events)
        }
        report.unchanged = now.taskCount - report.tasks.count
        return report
    }

    private static func note(_ report: Report, _ wanted: RestoreSource.Wanted) -> Event {
        func text(_ value: String?) -> [UInt8] {
            guard let value else { return Array("null".utf8) }
            var out: [UInt8] = []
            appendJSONString(value, to: &out)
            return out
        }
        var members: [(key: String, json: [UInt8])] = [
            // Not `seq`: that is the line's own.
            ("at", text(report.time?.description)), ("to_seq", Array("\(report.position)".utf8)),
            ("counts", Array(report.countsJSON.utf8)),
        ]
        if let backup = wanted.backup { members.append(("backup", text(backup))) }
        return .note(type: "restored", members: members)
    }
}

extension RestoreRun.Report {
    /// How many tasks become what: `{"pending":1,"complete":0,"failed":0,"cancelled":2,"held":0,"unchanged":237}`.
    var countsJSON: String {
        let counts = [TaskStatus.pending, .complete, .failed, .cancelled, .held].map { status in
            "\"\(status.word)\":\(tasks.count { $0.to == status })"
        }
        return "{\(counts.joined(separator: ",")),\"unchanged\":\(unchanged)}"
    }

    /// One JSON object.
    func json(isDryRun: Bool) -> [UInt8] {
        var out = Array("{\"dry_run\":\(isDryRun),\"seq\":\(position),\"at\":".utf8)
        Self.append(time?.description, &out)
        out += Array(",\"counts\":\(countsJSON)".utf8)
        if !isDryRun {
            out += Array(",\"events\":\(events),\"commands\":\(commands),\"completed_by_rows\":\(completedByRows)".utf8)
            out += Array(",\"backup_before\":".utf8)
            Self.append(backupBefore, &out)
            out += Array(",\"backup_after\":".utf8)
            Self.append(backupAfter, &out)
        }
        out += Array(",\"tasks\":[".utf8)
        for (index, task) in tasks.enumerated() {
            if index > 0 { out.append(44) }
            out += Array("{\"task\":".utf8)
            appendJSONString(task.task, to: &out)
            out += Array(
                (",\"from\":\"\(task.from.word)\",\"to\":\"\(task.to.word)\",\"retry_count_from\":\(task.retriesBefore),"
                    + "\"retry_count_to\":\(task.retriesAfter),\"added_later\":\(task.isLater)}").utf8)
        }
        return out + Array("]}\n".utf8)
    }

    private static func append(_ text: String?, _ out: inout [UInt8]) {
        if let text { appendJSONString(text, to: &out) } else { out += Array("null".utf8) }
    }

    /// For people: what became of how many tasks; of a dry run each task.
    func text(isDryRun: Bool) -> String {
        let moment = "seq \(position)" + (time.map { " (\($0))" } ?? " (before the first event)")
        guard !tasks.isEmpty else { return "Every task stands as at \(moment) already; nothing was written\n" }
        let parts = [TaskStatus.pending, .complete, .failed, .cancelled, .held].compactMap { status -> String? in
            let count = tasks.count { $0.to == status }
            return count == 0 ? nil : "\(count) \(status.word)"
        }
        let what = "\(parts.joined(separator: ", ")); \(unchanged) unchanged"
        guard isDryRun else {
            return "Restored to \(moment): \(what)\n"
                + "\(events) events in \(commands) \(commands == 1 ? "command" : "commands"); backups: before "
                + "\(backupBefore ?? "none"), after \(backupAfter ?? "none")\n"
        }
        var text = "A restore to \(moment) would make \(what)\n"
        for task in tasks {
            text += "\(task.task)  \(task.from.word) -> \(task.to.word)"
            if task.retriesBefore != task.retriesAfter {
                text += ", retry_count \(task.retriesBefore) -> \(task.retriesAfter)"
            }
            text += task.isLater ? ", added later\n" : "\n"
        }
        return text + "Nothing was written. Rows in result files that are not read yet are read first\n"
    }
}
