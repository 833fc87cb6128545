import Crypto
import EventLog
import Projections

/// Compares every row of the result files with what the journal says of its task. Reads only.
struct RowReconciliation {
    /// What was found of a row.
    enum Kind: String, CaseIterable {
        /// The task is complete, and the result is the journal's where that has one; or the row is of an attempt before the
        /// task was opened again.
        case agreed
        /// The task is not complete, and the row would complete it.
        case missingCompletion = "missing_completion"
        /// No task agrees with it, or several do.
        case noTask = "row_without_task"
        /// Another row of the file stands for the same task and attempt.
        case twice = "two_rows"
        /// The journal's result of that attempt is another one.
        case differs = "result_differs"
    }

    /// One row that does not agree, or one of which that is said.
    struct Finding {
        var kind: Kind
        var file: String
        var row: Int
        var task: String?
        var sha256: String
        /// What is the matter, in words; empty where nothing is.
        var detail = ""
    }

    private let data: DataDirectory
    private let state: ManagerState
    private var index = RowIndex()
    /// The results in the journal, by task and attempt.
    private var results: [ResultRowID: ResultRow] = [:]
    /// All but what agrees, by file and row.
    private(set) var findings: [Finding] = []
    private(set) var counts: [Kind: Int] = [:]

    /// Reads the journal and all result files. `patterns`: as `--results` of `serve`. `problem`: told of what cannot be read.
    init(_ data: DataDirectory, patterns: [String], problem: (FileError) -> Void) throws {
        self.data = data
        state = try MomentReader(data).state(at: .now).state
        var found: [ResultRowID: ResultRow] = [:]
        try ResultListing(journal: data.journal).forEach(upTo: .now, state) { found[$0.row.id] = $0.row }
        results = found
        index.extend(to: state)
        let known = state.filesReadNames.map { GlobPattern.literal($0) }
        var search = ResultFileSearch(data, patterns: known + patterns)
        for file in search.find(state, problem: problem) {
            do throws(FileError) { try read(file) } catch { problem(error) }
        }
    }

    private mutating func read(_ found: ResultFileSearch.Found) throws(FileError) {
        let file = try data.fileSystem.open(found.path, .read)
        defer { file.close() }
        var rows = AppendedRows(file, from: 0, to: try file.sizeBytes(), hash: SHA256(), rowCount: 0)
        var header: ResultFile.Header?
        var seen: [ResultRowID: Int] = [:]
        while let item = try rows.next() {
            guard case .row(let row) = item, !row.isBlank else { continue }
            guard let known = header else {
                header = ResultFile.Header(row)
                continue
            }
            note(judge(row, rows.rowCount, known, found.name, &seen))
        }
    }

    private mutating func note(_ finding: Finding) {
        counts[finding.kind, default: 0] += 1
        if finding.kind != .agreed { findings.append(finding) }
    }

    private func judge(
        _ row: CSVRow, _ number: Int, _ header: ResultFile.Header, _ file: String, _ seen: inout [ResultRowID: Int]
    ) -> Finding {
        var finding = Finding(
            kind: .agreed, file: file, row: number, sha256: RowContent.sha256(row, header))
        let columns = header.columns
        guard row.fields.count == columns.names.count else {
            finding.kind = .noTask
            finding.detail = "it has \(row.fields.count) fields, the header has \(columns.names.count)"
            return finding
        }
        var task: Int?
        if let place = columns.index(of: ResultColumns.task) { task = state.taskNumber(bytes: row.value(place)) }
        if task == nil {
            switch index.match(row, columns, state) {
            case .task(let number): task = number
            case .several(let first, let second):
                finding.detail = "it agrees with several tasks: \(state.taskID(first)), \(state.taskID(second))"
            case .none: finding.detail = "no task agrees with it"
            }
        }
        guard let task else {
            finding.kind = .noTask
            return finding
        }
        let id = state.taskID(task)
        finding.task = id
        let named = ResultRowID(row, columns).flatMap { UInt32(exactly: $0.attempt) }
        // A row that says nothing of attempts speaks for the one that completed the task.
        let latest = state.attempt(of: task)
        let attempt = named ?? (state.status(of: id) == .complete ? latest : nil)
        let key = ResultRowID(task: Array(id.utf8), attempt: attempt.map { Int($0) } ?? -1)
        if let first = seen[key] {
            finding.kind = .twice
            finding.detail = "row \(first) stands for the same task\(attempt == nil ? "" : " and attempt")"
            return finding
        }
        seen[key] = number
        if let named, named > latest {
            finding.kind = .differs
            finding.detail = "attempt \(named) was never assigned; the latest is \(latest)"
            return finding
        }
        if let own = results[key], let column = difference(row, columns, own, saysAll: named != nil) {
            finding.kind = .differs
            finding.detail = "column \(column) is another one than in the journal"
            return finding
        }
        if state.status(of: id) == .cancelled, case .isCancelled = state.decideRow(for: task, attempt: named),
            results[key] == nil
        {
            finding.kind = .differs
            finding.detail = "the task is cancelled: the row completes nothing"
            return finding
        }
        if isMissing(task, named, row, finding.sha256, file) {
            finding.kind = .missingCompletion
            finding.detail = "the task is \(state.status(of: id)?.word ?? "unknown")"
        }
        return finding
    }

    /// Whether a row would complete its task when it is read.
    private func isMissing(_ task: Int, _ attempt: UInt32?, _ row: CSVRow, _ sha256: String, _ file: String) -> Bool {
        guard case .completes = state.decideRow(for: task, attempt: attempt) else { return false }
        // Read before: it has spoken, and the task was opened again since.
        if let read = state.fileRead(file), row.offset < read.bytes { return false }
        return true
    }

    /// The first column in which a row is not what the journal's completion wrote; nil where there is none. `saysAll`:
    /// whether the row is the manager's own kind, in which nothing is left out.
    private func difference(
        _ row: CSVRow, _ columns: ResultColumns, _ own: ResultRow, saysAll: Bool
    ) -> String? {
        var encoder = ResultRowEncoder(columns)
        encoder.addColumns(of: own)
        var text: [UInt8] = []
        encoder.append(own, to: &text)
        var reader = CSVReader(offset: 0)
        reader.feed(text + [10])
        guard let wanted = reader.next() else { return nil }
        for (place, name) in encoder.columns.names.enumerated() where place < wanted.fields.count {
            guard place < row.fields.count else {
                if wanted.fields[place].range.isEmpty || !saysAll { continue }
                return "'\(String(decoding: name, as: UTF8.self))'"
            }
            let (here, there) = (row.text(place), wanted.text(place))
            if here == there || (here.isEmpty && !saysAll) { continue }
            if let a = Double(here), let b = Double(there), a == b { continue }
            return "'\(String(decoding: name, as: UTF8.self))' ('\(here.prefix(60))', there '\(there.prefix(60))')"
        }
        return nil
    }
}

extension RowReconciliation {
    /// `{"agreed","missing_completion",…,"findings":[{"kind","file","row","task","sha256","detail"}]}`.
    var json: [UInt8] {
        var out: [UInt8] = [123]
        for kind in Kind.allCases { out += Array("\"\(kind.rawValue)\":\(counts[kind] ?? 0),".utf8) }
        out += Array("\"findings\":[".utf8)
        for (index, finding) in findings.enumerated() {
            if index > 0 { out.append(44) }
            out += Array("{\"kind\":\"\(finding.kind.rawValue)\",\"file\":".utf8)
            appendJSONString(finding.file, to: &out)
            out += Array(",\"row\":\(finding.row),\"task\":".utf8)
            if let task = finding.task { appendJSONString(task, to: &out) } else { out += Array("null".utf8) }
            out += Array(",\"sha256\":\"\(finding.sha256)\",\"detail\":".utf8)
            appendJSONString(finding.detail, to: &out)
            out.append(125)
        }
        return out + Array("]}\n".utf8)
    }

    /// For people.
    var text: String {
        let words: [Kind: String] = [
            .agreed: "agreed", .missingCompletion: "missing completion", .noTask: "row without a task",
            .twice: "two rows for one task", .differs: "result that differs",
        ]
        var text = ""
        for finding in findings {
            text += "\(finding.file), row \(finding.row): \(words[finding.kind] ?? "")"
            if let task = finding.task { text += ", task \(task)" }
            text += finding.detail.isEmpty ? "\n" : " (\(finding.detail))\n"
        }
        for kind in Kind.allCases { text += "\(counts[kind] ?? 0) \(words[kind] ?? "")\n" }
        return text
    }
}
