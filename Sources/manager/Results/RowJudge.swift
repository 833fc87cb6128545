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
                    + "it completes nothing", of: file, once: "\(file) \(rowNumber) \(row.surplus(over: columns))")
            return .nothing
        }
        if isContradicted(row, rowNumber, columns, [ResultColumns.task, ResultColumns.attempt], file, &warnings) {
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
        if isContradicted(row, rowNumber, columns, index.keyColumns, file, &warnings) { return nil }
        let named = TaskCell(row, columns)
        switch index.match(row, columns, state) {
        case .task(let number): return number
        case .several(let first, let second):
            warnings.say(
                "\(file), row \(rowNumber): \(named.lead)it agrees with several tasks (\(state.taskID(first)), "
                    + "\(state.taskID(second)), maybe more) and completes none; \(named.advice), or add columns that tell "
                    + "them apart", of: file)
        case .none(let missing):
            for lack in missing {
                let isOne = lack.columns.count == 1
                let names = lack.columns.map { "'\($0)'" }.joined(separator: ", ")
                warnings.say(
                    "\(file)\(named.place(rowNumber)): \(named.lead)without the \(isOne ? "column" : "columns") \(names) its rows cannot "
                        + "be told to belong to tasks such as those of phase \(lack.phase), and complete none of them; "
                        + "\(named.advice), or add \(isOne ? "that column" : "those columns")", of: file)
            }
        }
        return nil
    }

    /// True, and said, where one of these columns stands twice in the header and its values in the row differ: which of them
    /// is meant cannot be known.
    private func isContradicted(
        _ row: CSVRow, _ rowNumber: Int, _ columns: ResultColumns, _ wanted: [[UInt8]], _ file: String,
        _ warnings: inout RowWarnings
    ) -> Bool {
        guard let name = columns.contradiction(in: row, among: wanted) else { return false }
        warnings.say(
            "\(file), row \(rowNumber): the header has the column '\(String(decoding: name, as: UTF8.self))' several times, "
                + "and the row has different values there; it completes nothing", of: file)
        return true
    }

    /// What a row that speaks for no task by its id has in the column of ids.
    private enum TaskCell {
        case noColumn
        case empty
        case unknown(String)

        init(_ row: CSVRow, _ columns: ResultColumns) {
            guard let place = columns.index(of: ResultColumns.task) else {
                self = .noColumn
                return
            }
            self =
                row.fields[place].range.isEmpty
                ? .empty : .unknown(String(row.text(place).filter { !$0.isNewline }.prefix(200)))
        }

        /// What is wrong with its id, where it has one.
        var lead: String {
            if case .unknown(let id) = self { "there is no task '\(id)', and " } else { "" }
        }

        /// The row, where the warning is of this row alone and not of the whole file.
        func place(_ number: Int) -> String {
            if case .unknown = self { ", row \(number)" } else { "" }
        }

        /// How the row could name its task.
        var advice: String {
            switch self {
            case .noColumn: "add a task_id column"
            case .empty: "fill in its task_id"
            case .unknown: "correct its task_id"
            }
        }
    }

    /// True when the row is the header once more, as when two programs begin one file.
    private static func repeats(_ header: ResultFile.Header, _ row: CSVRow) -> Bool {
        let names = header.columns.names
        guard row.fields.count == names.count, row.hasValue(names[0], at: 0) else { return false }
        return names.indices.allSatisfy { row.hasValue(names[$0], at: $0) }
    }
}
