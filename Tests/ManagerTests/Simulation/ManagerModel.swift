import EventLog
import Projections
import TestSupport

@testable import manager

/// What a data directory must hold: every line that was given to the journal, how many are certain, and the rows of
/// others that were synced.
struct ManagerModel {
    /// The journal's lines, without newline, in order.
    var lines: [[UInt8]] = []
    /// The last position that was told to be durable.
    var acknowledged = 0
    /// Marks of rows that another program wrote and synced, by file.
    var foreign: [String: [String]] = [:]
    /// True once a reset may have set the result files aside.
    var mayHaveReset = false

    /// Compares with the journal as it stands, and forgets what was in flight and is gone.
    mutating func settle(_ data: DataDirectory) throws {
        let found = try Self.lines(data.journal)
        if mayHaveReset, found.isEmpty, acknowledged > 0 { return try settleReset(data) }
        guard found.count >= acknowledged else {
            throw SimulationFailure("acknowledged up to seq \(acknowledged), but \(found.count) events stand")
        }
        guard lines.starts(with: found) else {
            throw SimulationFailure("the journal's \(found.count) lines are not the first of those that were written")
        }
        if let last = found.last, last.withUnsafeBufferPointer({ LogLine($0)?.hasMore }) != false {
            throw SimulationFailure("the journal ends inside a command, at seq \(found.count)")
        }
        lines = found
        acknowledged = found.count
    }

    /// After a reset: all that was acknowledged stands in the archive, whole.
    private mutating func settleReset(_ data: DataDirectory) throws {
        let archives = try data.fileSystem.list(data.path).filter { $0.hasPrefix("archive-") }
        for name in archives.reversed() {
            let archived = try Self.lines(DataDirectory(data.path + "/" + name, on: data.fileSystem).journal)
            if archived.count >= acknowledged, lines.starts(with: archived) {
                self = ManagerModel()
                return
            }
        }
        throw SimulationFailure("the journal is empty, and no archive of \(archives) holds the \(acknowledged) events")
    }

    private static func lines(_ journal: JournalDirectory) throws -> [[UInt8]] {
        var found: [[UInt8]] = []
        try LogReader(journal).forEach { line throws(JournalError) in
            found.append(Array(line.bytes))
            return true
        }
        return found
    }

    /// The state that these lines give.
    func state() throws -> ManagerState {
        var state = ManagerState()
        for line in lines {
            try line.withUnsafeBufferPointer { bytes in
                guard let line = LogLine(bytes) else { throw SimulationFailure("a line of our own cannot be read") }
                state.apply(try EventView(line.body), at: line.position, time: line.time, crc: line.crc)
            }
        }
        return state
    }

    /// The rows that completions owe, as `task,attempt`.
    func owed() throws -> [String] {
        var rows: [String] = []
        for line in lines {
            try line.withUnsafeBufferPointer { bytes in
                guard let line = LogLine(bytes) else { return }
                let event = try EventView(line.body)
                guard event.result != nil, event.kind == .completed || event.kind == .result else { return }
                rows.append("\(String(decoding: event.task, as: UTF8.self)),\(event.attempt)")
            }
        }
        return rows
    }

    /// Looks into the result files: no row twice, none that nobody wrote, and where `all` every row that is owed.
    func check(_ files: [String: [UInt8]], all: Bool) throws {
        let owed = try owed()
        for name in ["/data/final_results.csv", "/data/results_p/final_results.csv"] {
            let text = files[name] ?? []
            var reader = CSVReader(text)
            var counts: [String: Int] = [:]
            var marks: [String: Int] = [:]
            var columns: [String] = []
            while let row = reader.next() {
                let cells = row.fields.indices.map { String(decoding: row.value($0), as: UTF8.self) }
                if columns.isEmpty {
                    columns = cells
                    continue
                }
                let cell = Dictionary(zip(columns, cells)) { first, _ in first }
                if let mark = cell["acc"], mark.hasPrefix("foreign") {
                    marks[mark, default: 0] += 1
                } else if cells.count == columns.count, let task = cell["task_id"], let attempt = cell["attempt"] {
                    counts["\(task),\(attempt)", default: 0] += 1
                } else {
                    throw SimulationFailure("\(name) has a row that nobody wrote: \(cells)")
                }
            }
            if reader.tail != nil { throw SimulationFailure("\(name) ends in a torn row after a start") }
            for (row, count) in counts where count > 1 || !owed.contains(row) {
                throw SimulationFailure("\(name) has row \(row) \(count) times; owed: \(owed.contains(row))")
            }
            if all, let missing = owed.first(where: { counts[$0] == nil }) {
                throw SimulationFailure("\(name) has no row \(missing)")
            }
            for mark in foreign[name] ?? [] where marks[mark] != 1 {
                throw SimulationFailure("\(name) has the foreign row \(mark) \(marks[mark] ?? 0) times")
            }
        }
    }
}
