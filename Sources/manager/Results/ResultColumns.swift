/// The columns of a result file: names, places, and how rows are laid out in them.
struct ResultColumns: Sendable {
    /// `task_id`
    static let task = Array("task_id".utf8)
    /// `attempt`
    static let attempt = Array("attempt".utf8)
    /// `phase`
    static let phase = Array("phase".utf8)
    /// `seed`
    static let seed = Array("seed".utf8)

    /// The names, in order.
    private(set) var names: [[UInt8]]
    private var places: [[UInt8]: Int] = [:]
    /// The places of names that stand more than once.
    private var repeated: [[UInt8]: [Int]] = [:]

    /// Takes the names of a header; of two equal names the first one counts.
    init(_ names: [[UInt8]] = []) {
        self.names = names
        for (index, name) in names.enumerated() {
            if let first = places[name] { repeated[name, default: [first]].append(index) } else { places[name] = index }
        }
    }

    /// The first of some columns that stands several times with different values in a row; nil where none does.
    func contradiction(in row: CSVRow, among wanted: some Sequence<[UInt8]>) -> [UInt8]? {
        guard !repeated.isEmpty else { return nil }
        return wanted.first { name in
            guard let all = repeated[name], let first = all.first else { return false }
            let form = CellValue.form(cell: row.value(first))
            return all.contains { CellValue.form(cell: row.value($0)) != form }
        }
    }

    /// Where a column stands; nil where there is none.
    func index(of name: [UInt8]) -> Int? { places[name] }

    /// Where a column stands; it is added at the end where it is missing.
    mutating func place(of name: [UInt8]) -> Int {
        if let place = places[name] { return place }
        places[name] = names.count
        names.append(name)
        return names.count - 1
    }
}

/// Turns rows into lines for one file.
///
/// Columns: those that the file has, then, row by row, task_id, attempt, phase, seed, the config's keys, the result's
/// keys. A result key that names one of these is that column and its value wins; but task_id and attempt are always
/// the row's own, as they tell at the next start which rows are already there. Only rows without a `problem` may come.
struct ResultRowEncoder {
    private enum Cell { case empty, task, attempt, phase, seed, config(Range<Int>), result(Range<Int>) }
    private typealias Layout = [(rawKey: ArraySlice<UInt8>, column: Int)]

    /// The columns so far.
    private(set) var columns: ResultColumns
    // Rows of one phase have the same keys in the same order: their columns are looked up once.
    private var configLayout: Layout = []
    private var resultLayout: Layout = []
    private var cells: [Cell] = []

    /// Begins with the columns that the file has.
    init(_ columns: ResultColumns) { self.columns = columns }

    /// Adds the columns that a row needs.
    mutating func addColumns(of row: ResultRow) {
        for name in [ResultColumns.task, ResultColumns.attempt, ResultColumns.phase, ResultColumns.seed] {
            _ = columns.place(of: name)
        }
        Self.walk(row.config, &configLayout, &columns) { _, _ in }
        Self.walk(row.result, &resultLayout, &columns) { _, _ in }
    }

    /// Adds the row's line, without its end. Its columns must have been added.
    mutating func append(_ row: ResultRow, to text: inout [UInt8]) {
        cells.removeAll(keepingCapacity: true)
        cells.append(contentsOf: repeatElement(.empty, count: columns.names.count))
        let taskColumn = columns.place(of: ResultColumns.task)
        let attemptColumn = columns.place(of: ResultColumns.attempt)
        let phaseColumn = columns.place(of: ResultColumns.phase)
        Self.walk(row.config, &configLayout, &columns) { column, value in cells[column] = .config(value) }
        cells[phaseColumn] = .phase
        cells[columns.place(of: ResultColumns.seed)] = .seed
        Self.walk(row.result, &resultLayout, &columns) { column, value in cells[column] = .result(value) }
        cells[taskColumn] = .task
        cells[attemptColumn] = .attempt
        for (index, cell) in cells.enumerated() {
            if index > 0 { text.append(CSVText.comma) }
            switch cell {
            case .empty: break
            case .task: CSVText.appendField(row.task.utf8, to: &text)
            case .attempt: text += Array(String(row.attempt).utf8)
            case .phase: CSVText.appendField(row.phase.utf8, to: &text)
            case .seed: CSVText.appendField(json: row.seed[...], to: &text)
            case .config(let value): CSVText.appendField(json: row.config[value], to: &text)
            case .result(let value): CSVText.appendField(json: row.result[value], to: &text)
            }
        }
    }

    private static func walk(
        _ object: [UInt8], _ layout: inout Layout, _ columns: inout ResultColumns,
        _ visit: (_ column: Int, _ value: Range<Int>) -> Void
    ) {
        var members = JSONMembers(object)
        var index = 0
        while let member = Self.next(&members) {
            let rawKey = object[member.rawKey]
            if index < layout.count, layout[index].rawKey == rawKey {
                visit(layout[index].column, member.value)
            } else {
                let column = columns.place(of: members.key(of: member))
                layout.removeSubrange(min(index, layout.count)...)
                layout.append((rawKey, column))
                visit(column, member.value)
            }
            index += 1
        }
    }

    private static func next(_ members: inout JSONMembers) -> JSONMembers.Member? {
        do throws(JSONMembers.Malformed) { return try members.next() } catch {
            preconditionFailure("a row with a problem was encoded: \(error)")
        }
    }
}
