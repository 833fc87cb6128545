/// One row that a completion owes to the result files.
struct ResultRow: Equatable, Sendable {
    /// The task's id.
    let task: String
    /// The attempt that completed it; 0 for a task that was never assigned.
    let attempt: Int
    /// The task's phase.
    let phase: String
    /// The task's seed as JSON.
    let seed: [UInt8]
    /// The task's config, a compact JSON object.
    let config: [UInt8]
    /// The result, a compact JSON object.
    let result: [UInt8]
    /// The directories that want the row, relative to the data directory.
    let outputDirectories: [String]
    /// True when the data directory's own file wants it too; false where a complete task got another directory.
    let isForDataDirectory: Bool

    /// Makes a row.
    init(
        task: String, attempt: Int, phase: String, seed: [UInt8], config: [UInt8], result: [UInt8],
        outputDirectories: [String], isForDataDirectory: Bool = true
    ) {
        self.task = task
        self.attempt = attempt
        self.phase = phase
        self.seed = seed
        self.config = config
        self.result = result
        self.outputDirectories = outputDirectories
        self.isForDataDirectory = isForDataDirectory
    }

    /// What is wrong with config or result; nil when both are JSON objects.
    var problem: String? {
        for object in [config, result] {
            var members = JSONMembers(object)
            do throws(JSONMembers.Malformed) { while try members.next() != nil {} } catch { return error.description }
        }
        return nil
    }

    /// What tells this row from all others of a file.
    var id: ResultRowID { ResultRowID(task: Array(task.utf8), attempt: attempt) }
}

/// Names a row that the manager wrote, in any file: a completion writes one row to each.
struct ResultRowID: Hashable, Sendable {
    /// The task's id, as bytes: ids are compared so.
    let task: [UInt8]
    /// The attempt.
    let attempt: Int

    /// Names the row of a completion.
    init(task: [UInt8], attempt: Int) {
        self.task = task
        self.attempt = attempt
    }

    /// Hashes the id's bytes at once; an array would hash them one by one.
    func hash(into hasher: inout Hasher) {
        task.withUnsafeBytes { hasher.combine(bytes: $0) }
        hasher.combine(attempt)
    }

    /// Reads the name off a row of a file with these columns; nil where it has none. An attempt may be spelled `2` or,
    /// after a spreadsheet, `2.0`.
    init?(_ row: CSVRow, _ columns: ResultColumns) {
        guard let taskColumn = columns.index(of: ResultColumns.task), taskColumn < row.fields.count,
            let attemptColumn = columns.index(of: ResultColumns.attempt), attemptColumn < row.fields.count
        else { return nil }
        let text = row.text(attemptColumn)
        guard let attempt = Int(text) ?? Double(text).flatMap(Int.init(exactly:)) else { return nil }
        self.init(task: row.value(taskColumn), attempt: attempt)
    }
}

/// What became of a batch of rows.
struct ResultOutcome: Sendable {
    /// The places in the batch of the rows that some file still lacks, ascending.
    var owed: [Int] = []
    /// What went wrong, one for each file, directory or row.
    var errors: [ResultFilesError] = []
    /// Rows of others without a newline that were ended so that ours could follow.
    var ended: [EndedRow] = []
    /// Files that rows were taken out of which a power loss had left with holes.
    var holes: [String] = []
    /// How many rows were carried over from files that a grown header replaced.
    var carriedOver = 0

    /// Nothing done yet.
    init() {}
}

/// A last row without newline that we ended: it completes nothing and is to be warned of.
struct EndedRow: Equatable, Sendable {
    /// The file.
    let path: String
    /// Where the row begins, in bytes.
    let offset: Int64
    /// Where it now ends, in bytes, behind its newline.
    let endOffset: Int64
}
