import EventLog
import Projections

/// Finds rows that the manager has written in the result files themselves, for completions that the journal does not have
/// any more. Reads only.
struct WrittenRows {
    /// What a row says.
    struct Found: Equatable {
        /// The attempt that it names.
        var attempt: Int
        /// Its cells by the names of their columns, a JSON object of texts, without `task_id`, `attempt` and what is empty.
        var result: [UInt8]
    }

    let data: DataDirectory

    /// The last row of each of these tasks in a directory's result file: rows stand in the order of the completions.
    /// `tasks`: with the latest attempt that counts. `directory`: relative to the data directory; `""` is that itself. A
    /// file that is not there, or is none that the manager could write to, has none.
    func newest(of tasks: [ExactText: UInt32], in directory: String) throws(FileError) -> [ExactText: Found] {
        guard directory.isEmpty || OutputDirectory.problem(directory) == nil else { return [:] }
        let path = data.path + (directory.isEmpty ? "" : "/" + directory) + "/" + ResultFiles.fileName
        guard try data.fileSystem.metadata(path)?.isRegular == true else { return [:] }
        let file = try data.fileSystem.open(path, .read)
        defer { file.close() }
        var reader = CSVFileReader(file, from: 0, to: try file.sizeBytes())
        guard let first = try reader.next(), case let header = ResultFile.Header(first), !header.hasBareReturns else {
            return [:]
        }
        let columns = header.columns
        // Ids are compared as bytes.
        let limits = Dictionary(tasks.map { (Array($0.key.text.utf8), Int($0.value)) }, uniquingKeysWith: max)
        var newest: [[UInt8]: (attempt: Int, row: CSVRow)] = [:]
        while let row = try reader.next() {
            guard row.fields.count == columns.names.count, !row.hasHole, let id = ResultRowID(row, columns),
                let limit = limits[id.task], (0...limit).contains(id.attempt)
            else { continue }
            newest[id.task] = (id.attempt, row)
        }
        return Dictionary(
            newest.map {
                (
                    ExactText(String(decoding: $0.key, as: UTF8.self)),
                    Found(attempt: $0.value.attempt, result: Self.result($0.value.row, columns))
                )
            }, uniquingKeysWith: { $1 })
    }

    /// Of columns with one name the first one counts, as everywhere.
    private static func result(_ row: CSVRow, _ columns: ResultColumns) -> [UInt8] {
        var out: [UInt8] = [123]
        for (place, name) in columns.names.enumerated() where columns.index(of: name) == place {
            let value = row.text(place)
            if value.isEmpty || name == ResultColumns.task || name == ResultColumns.attempt { continue }
            if out.count > 1 { out.append(44) }
            appendJSONString(String(decoding: name, as: UTF8.self), to: &out)
            out.append(58)
            appendJSONString(value, to: &out)
        }
        return out + [125]
    }
}
