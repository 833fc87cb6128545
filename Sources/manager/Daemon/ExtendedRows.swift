import EventLog
import Projections

/// Rows that complete tasks owe to directories by which they were extended. Their results stand in the journal; where the
/// events of their completions were discarded, the rows themselves stand in another result file.
///
/// Order of effects: the `extended` event is durable, then the row. Power lost between the two: a snapshot does not
/// pass the event until the row is written, so the next start meets the event after its snapshot and writes the row. A row
/// that no file has is told of and owed to nobody, or no state would be saved any more.
struct ExtendedRows {
    /// A complete task with a result, and its new directories.
    struct Wanted: Sendable, Equatable {
        let task: String
        var directories: [String]
        /// The latest attempt when it was extended: later ones write their rows to all directories by themselves.
        var attempt: UInt32
    }

    private struct Result {
        var attempt: Int
        var json: [UInt8]
    }

    let data: DataDirectory
    let results: ResultWriter

    /// Writes what is missing, on the calling thread; what a full disk leaves stays owed. `position`: the last of the
    /// events, which is durable.
    func write(_ wanted: [Wanted], at position: LogPosition, _ state: ManagerState) throws(JournalError) {
        guard !wanted.isEmpty else { return }
        var owed: [ExactText: Wanted] = [:]
        for item in wanted {
            let task = ExactText(item.task)
            owed[task, default: Wanted(task: item.task, directories: [], attempt: 0)].directories += item.directories
            owed[task]?.attempt = item.attempt
        }
        var found = try resultsInJournal(of: owed)
        let gone = owed.filter { found[$0.key] == nil }
        if !gone.isEmpty { found.merge(resultsInFiles(of: gone, state)) { journal, _ in journal } }
        var rows: [OwedRow] = []
        for (task, result) in found.sorted(by: { $0.key < $1.key }) {
            guard let context = state.resultContext(of: task.text) else { continue }
            results.expect(position)
            rows.append(
                OwedRow(
                    position: position,
                    row: ResultRow(
                        task: task.text, attempt: result.attempt, phase: context.phase, seed: context.seed,
                        config: context.config, result: result.json,
                        outputDirectories: owed[task]?.directories ?? [], isForDataDirectory: false)))
        }
        if !rows.isEmpty { results.writeOwed(rows, outputDirectories: []) }
    }

    private func resultsInJournal(of tasks: [ExactText: Wanted]) throws(JournalError) -> [ExactText: Result] {
        var found: [ExactText: Result] = [:]
        try LogReader(data.journal, prefetching: true).forEach { line throws(JournalError) in
            let event: EventView
            do throws(EventError) { event = try EventView(line) } catch { return true }  // replayed before
            guard event.kind == .completed || event.kind == .result, let result = event.result else { return true }
            let task = ExactText(String(decoding: event.task, as: UTF8.self))
            if let wanted = tasks[task], event.attempt <= wanted.attempt {
                found[task] = Result(attempt: Int(event.attempt), json: Array(result))
            }
            return true
        }
        return found
    }

    /// The data directory's own file has all rows; where it lacks one, the files of the task's other directories are asked.
    private func resultsInFiles(of tasks: [ExactText: Wanted], _ state: ManagerState) -> [ExactText: Result] {
        let written = WrittenRows(data: data)
        var found: [ExactText: Result] = [:]
        var problems: [String] = []
        let directories = tasks.mapValues { task in
            (state.resultContext(of: task.task)?.directories ?? []).map { ExactText($0) }
        }
        for directory in [ExactText("")] + Set(directories.values.joined()).sorted() {
            let asked = tasks.filter { id, _ in
                found[id] == nil && (directory.text.isEmpty || directories[id]?.contains(directory) == true)
            }
            guard !asked.isEmpty else { continue }
            do throws(FileError) {
                for (id, row) in try written.newest(of: asked.mapValues(\.attempt), in: directory.text) {
                    found[id] = Result(attempt: row.attempt, json: row.result)
                }
            } catch { problems.append("\(error)") }
        }
        tell(of: tasks.values.filter { found[ExactText($0.task)] == nil }, problems)
        return found
    }

    /// One sentence a directory.
    private func tell(of tasks: [Wanted], _ problems: [String]) {
        for directory in Set(tasks.flatMap(\.directories).map(ExactText.init)).sorted() {
            let ids = tasks.filter { $0.directories.containsExactly(directory.text) }.map(\.task).sorted()
            let isOne = ids.count == 1
            let named = ids.prefix(3).joined(separator: ", ") + (ids.count > 3 ? ", … and \(ids.count - 3) more" : "")
            results.say(
                "\(directory.text)/\(ResultFiles.fileName) gets no \(isOne ? "row" : "rows") of \(isOne ? "task" : "the tasks") "
                    + "\(named): the journal does not have the \(isOne ? "completion" : "completions") any more, and neither "
                    + "\(ResultFiles.fileName) nor that of another output directory has \(isOne ? "the row" : "the rows")"
                    + (problems.isEmpty ? "" : " (\(problems.joined(separator: "; ")))")
                    + "; copy \(isOne ? "it" : "them") there from a copy of a result file, or 'manager requeue' runs "
                    + "\(isOne ? "the task" : "the tasks") again")
        }
    }
}

extension ExtendedRows.Wanted {
    /// What a task owes to directories that it gets; nil where it is not complete, as its row will go to all directories,
    /// or has no result.
    init?(_ number: Int, directories: [String], _ state: ManagerState) {
        let point = state.point(number)
        guard point.isComplete, state.hasResult(number) else { return nil }
        self.init(task: point.id, directories: directories, attempt: state.attempt(of: number))
    }

    /// What an `extended` event asks for; nil likewise.
    init?(_ event: EventView, _ state: ManagerState) {
        guard let number = state.taskNumber(String(decoding: event.task, as: UTF8.self)) else { return nil }
        var names: [String] = []
        var reader = JSONReader(event.outputDirectories)
        do throws(JSONError) { names = try reader.strings() } catch { return nil }  // no event of ours names none
        self.init(number, directories: names, state)
    }
}
