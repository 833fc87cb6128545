/// What `manager run` says at its end. Pure: facts in, text out.
struct RunSummary: Sendable {
    /// What one worker did.
    struct WorkerRow: Sendable, Equatable {
        /// Its name.
        var name: String
        /// The attempts that completed.
        var completed: Int
        /// The attempts that failed.
        var failed: Int
        /// The time in which a program ran, in seconds.
        var busySeconds: Double
        /// The part of it that ended in a completion or a failure.
        var runSeconds: Double
    }

    /// A task that is not complete, and why.
    struct Failure: Sendable, Equatable {
        /// The task's id.
        var task: String
        /// Its last error, or what keeps it.
        var error: String
    }

    /// All tasks, and how they ended.
    var counts: RunCounts
    /// Attempts beyond the first of each task that ended in this run.
    var retries: Int
    /// Tasks that ended in this run.
    var ended: Int
    /// From start to end, in seconds.
    var wallSeconds: Double
    /// In the order to be shown.
    var workers: [WorkerRow]
    /// Tasks that are not complete; the first ten are shown.
    var failures: [Failure] = []
    /// The mean by a key; nil where there is nothing to show.
    var means: ResultMeans?
    /// Files worth a look, with what they are.
    var files: [(path: String, what: String)] = []
    /// A task to take as an example for `history`; nil: any.
    var exampleTask: String?
    /// Appended to the verbs where the data directory is not the current one: `--data-dir DIR`.
    var dataDirectoryOption: String?

    /// How many failures are shown.
    static let shownFailures = 10

    /// The text, paragraphs apart, each line without white space at its end; the last line ends too.
    func text() -> String {
        let parts = [headline, workersTable, failuresList, meansTable, filesList, verbsList]
        return "\n" + parts.filter { !$0.isEmpty }.map { $0.joined(separator: "\n") + "\n" }.joined(separator: "\n")
    }

    private var headline: [String] {
        let rate = wallSeconds > 0 && ended > 0 ? Double(ended) / wallSeconds : nil
        let open = counts.total - counts.done
        var outcome = ["\(counts.complete) complete", "\(counts.failed) failed"]
        if counts.setAside > 0 { outcome.append("\(counts.setAside) cancelled or held") }
        if open > 0 { outcome.append("\(open) not done") }
        return [
            "Tasks      \(counts.total): \(outcome.joined(separator: ", "))",
            "Retries    \(retries)",
            "Wall time  \(ProgressText.duration(wallSeconds))" + (rate.map { " (\(ProgressText.rate($0)))" } ?? ""),
        ]
    }

    private var workersTable: [String] {
        guard !workers.isEmpty else { return [] }
        let rows = workers.map { worker -> [String] in
            let ended = worker.completed + worker.failed
            let mean = ended > 0 ? ProgressText.fixed(worker.runSeconds / Double(ended), decimals: 2) : "-"
            let busy =
                wallSeconds > 0
                ? ProgressText.fixed(min(100, 100 * worker.busySeconds / wallSeconds), decimals: 0) : "-"
            return [worker.name, String(worker.completed), String(worker.failed), mean, busy]
        }
        return TextTable.lines(header: ["Worker", "Done", "Failed", "Mean s", "Busy %"], rows: rows)
    }

    private var failuresList: [String] {
        guard !failures.isEmpty else { return [] }
        var lines = ["Not complete"]
        for failure in failures.prefix(Self.shownFailures) {
            let oneLine = failure.error.split(whereSeparator: \.isNewline).joined(separator: " | ")
            let shown = oneLine.count <= 100 ? oneLine : "\(oneLine.prefix(49))…\(oneLine.suffix(50))"
            lines.append("  \(failure.task): \(shown)")
        }
        let more = failures.count - Self.shownFailures
        if more > 0 { lines.append("  … and \(more) more") }
        return lines
    }

    private var meansTable: [String] { means?.lines ?? [] }

    private var filesList: [String] {
        guard !files.isEmpty else { return [] }
        return ["Files"] + Self.pairs(files.map { ($0.path, $0.what) })
    }

    private var verbsList: [String] {
        let option = dataDirectoryOption.map { " " + $0 } ?? ""
        let verbs = [
            ("manager status\(option)", "how many tasks are where"),
            ("manager tail -n 20\(option)", "the last events"),
            ("manager replay --at -1m\(option) | jq .", "the state a minute ago"),
            ("manager history \(exampleTask ?? "TASK")\(option)", "all that happened to one task"),
            ("manager verify\(option)", "checksums, order and chain of the journal"),
        ]
        return ["Try"] + Self.pairs(verbs)
    }

    private static func pairs(_ pairs: [(String, String)]) -> [String] {
        let width = pairs.map(\.0.count).max() ?? 0
        return pairs.map { "  \($0.0)\(String(repeating: " ", count: width - $0.0.count))  \($0.1)" }
    }
}

/// Aligned columns of plain text.
enum TextTable {
    /// The header and the rows, two spaces between columns; numbers to the right, the columns in `leftAligned` to the
    /// left. Rows have as many cells as the header.
    static func lines(header: [String], rows: [[String]], leftAligned: Set<Int> = [0]) -> [String] {
        let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
        return ([header] + rows).map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += (column > 0 ? "  " : "") + (leftAligned.contains(column) ? cell + padding : padding + cell)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
