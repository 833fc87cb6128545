import EventLog
import Projections

/// Rows that complete tasks owe to directories by which they were extended. Their results stand in the journal.
///
/// Order of effects: the `extended` event is durable, then the row. Power lost between the two: a snapshot does not
/// pass the event until the row is written, so the next start meets the event after its snapshot and writes the row.
struct ExtendedRows {
    /// A complete task and its new directories.
    struct Wanted: Sendable, Equatable {
        let task: String
        var directories: [String]
    }

    let journal: JournalDirectory
    let results: ResultWriter

    /// Writes what is missing, on the calling thread; what a full disk leaves stays owed. `position`: the last of the
    /// events, which is durable. Tasks without a result owe nothing.
    func write(_ wanted: [Wanted], at position: LogPosition, _ state: ManagerState) throws(JournalError) {
        guard !wanted.isEmpty else { return }
        var directories: [String: [String]] = [:]
        for item in wanted { directories[item.task, default: []] += item.directories }
        let found = try newestResults(of: directories)
        var rows: [OwedRow] = []
        for (task, result) in found.sorted(by: { $0.key < $1.key }) {
            guard let context = state.resultContext(of: task) else { continue }
            results.expect(position)
            rows.append(
                OwedRow(
                    position: position,
                    row: ResultRow(
                        task: task, attempt: Int(result.attempt), phase: context.phase, seed: context.seed,
                        config: context.config, result: result.json, outputDirectories: directories[task] ?? [],
                        isForDataDirectory: false)))
        }
        if !rows.isEmpty { results.writeOwed(rows, outputDirectories: []) }
    }

    private func newestResults(
        of tasks: [String: [String]]
    ) throws(JournalError) -> [String: (attempt: UInt32, json: [UInt8])] {
        var found: [String: (attempt: UInt32, json: [UInt8])] = [:]
        try LogReader(journal, prefetching: true).forEach { line throws(JournalError) in
            let event: EventView
            do throws(EventError) { event = try EventView(line) } catch { return true }  // replayed before
            guard event.kind == .completed || event.kind == .result, let result = event.result else { return true }
            let task = String(decoding: event.task, as: UTF8.self)
            if tasks[task] != nil { found[task] = (event.attempt, Array(result)) }
            return true
        }
        return found
    }
}

extension ExtendedRows.Wanted {
    /// What an `extended` event asks for; nil where its task is not complete: its row will go to all directories.
    init?(_ event: EventView, _ state: ManagerState) {
        let id = String(decoding: event.task, as: UTF8.self)
        guard let number = state.taskNumber(id), state.point(number).isComplete else { return nil }
        var names: [String] = []
        var reader = JSONReader(event.outputDirectories)
        do throws(JSONError) { names = try reader.strings() } catch { return nil }  // no event of ours names none
        self.init(task: id, directories: names)
    }
}
