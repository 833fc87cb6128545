import EventLog
import Projections

/// Says for each row of a result file which task it speaks for, if any. Pure, apart from its warnings.
struct RowJudge {
    /// A row that speaks for a task.
    struct Candidate {
        /// The task's place in the order of adding.
        let task: Int
        /// The attempt that the row names together with the task's id.
        let attempt: UInt32?
        /// The row's number in its file: the header is 1.
        let rowNumber: Int
        /// Where it begins.
        let offset: Int64
        /// SHA-256 of its content, in hex.
        let sha256: String
    }

    /// What a row is.
    enum Judgement {
        /// It speaks for a task.
        case candidate(Candidate)
        /// It speaks for none, or says what is known.
        case nothing
    }

    private var index = RowIndex()

    /// Judges a row behind the header.
    mutating func judge(
        _ row: CSVRow, number rowNumber: Int, _ header: ResultFile.Header, file: String, _ state: ManagerState,
        _ warnings: inout RowWarnings
    ) -> Judgement {
        let columns = header.columns
        if row.isBlank || Self.repeats(header, row) { return .nothing }
        guard row.fields.count == columns.names.count else {
            warnings.say(
                "\(file), row \(rowNumber): it has \(row.fields.count) fields, the header has \(columns.names.count); "
                    + "it completes nothing", of: file)
            return .nothing
        }
        var task: Int?
        var attempt: UInt32?
        if let place = columns.index(of: ResultColumns.task), !row.fields[place].range.isEmpty {
            task = state.taskNumber(bytes: row.value(place))
            if task != nil, let id = ResultRowID(row, columns) { attempt = UInt32(exactly: id.attempt) }
        }
        if let task, let attempt, state.isSettled(task, attempt: attempt) { return .nothing }
        guard let number = task ?? match(row, rowNumber, columns, file, state, &warnings) else { return .nothing }
        return .candidate(
            Candidate(
                task: number, attempt: attempt, rowNumber: rowNumber, offset: row.offset,
                sha256: RowContent.sha256(row, header)))
    }

    private mutating func match(
        _ row: CSVRow, _ rowNumber: Int, _ columns: ResultColumns, _ file: String, _ state: ManagerState,
        _ warnings: inout RowWarnings
    ) -> Int? {
        index.extend(to: state)
        switch index.match(row, columns, state) {
        case .task(let number): return number
        case .several(let first, let second):
            warnings.say(
                "\(file), row \(rowNumber): it agrees with several tasks (\(state.taskID(first)), \(state.taskID(second)), "
                    + "maybe more) and completes none; add a task_id column, or columns that tell them apart", of: file)
        case .none(let missing):
            for lack in missing {
                let names = lack.columns.map { "'\($0)'" }.joined(separator: ", ")
                warnings.say(
                    "\(file): without the \(lack.columns.count == 1 ? "column" : "columns") \(names) its rows cannot be "
                        + "told to belong to tasks such as those of phase \(lack.phase), and complete none of them; "
                        + "add \(lack.columns.count == 1 ? "it" : "them") or a task_id column", of: file)
            }
        }
        return nil
    }

    /// True when the row is the header once more, as when two programs begin one file.
    private static func repeats(_ header: ResultFile.Header, _ row: CSVRow) -> Bool {
        let names = header.columns.names
        guard row.fields.count == names.count, row.hasValue(names[0], at: 0) else { return false }
        return names.indices.allSatisfy { row.hasValue(names[$0], at: $0) }
    }
}
