import EventLog
import TestSupport

@testable import manager

/// A result file of another program. `way` says in which pieces it is read.
enum CSVFuzzing {
    private static let path = "/data/results_p/final_results.csv"

    static func run(_ bytes: [UInt8], way: UInt8) throws {
        let rows = read(bytes, pieceBytes: max(bytes.count, 1))
        if read(bytes, pieceBytes: Int(way) % 61 + 1) != rows {
            throw FuzzFinding("pieces give other rows than the whole")
        }
        if rows.flatMap(\.raw) != bytes { throw FuzzFinding("the rows are not the file") }
        for row in rows {
            for index in row.fields.indices { _ = row.text(index) }
            _ = row.contentBytes(
                columns: rows.first.map { first in first.fields.indices.map { first.value($0) } } ?? [])
            _ = (row.isBlank, row.hasHole, row.hasBareReturn)
        }
        try checkAppending(to: bytes)
    }

    private static func read(_ bytes: [UInt8], pieceBytes: Int) -> [CSVRow] {
        var reader = CSVReader()
        var rows: [CSVRow] = []
        var at = 0
        while at < bytes.count {
            reader.feed(Array(bytes[at..<min(at + pieceBytes, bytes.count)]))
            at += pieceBytes
            while let row = reader.next() { rows.append(row) }
        }
        if let tail = reader.tail { rows.append(tail) }
        return rows
    }

    /// A row is written once, whatever stands in the file, and is found there by the next start.
    private static func checkAppending(to bytes: [UInt8]) throws {
        let fileSystem = SimulatedDisk().process()
        try fileSystem.createDirectories("/data/results_p")
        try writeDurably(bytes, to: path, on: fileSystem)
        let row = ResultRow(
            task: "t", attempt: 1, phase: "p", seed: Array("42".utf8), config: Array(#"{"x":1}"#.utf8),
            result: Array(#"{"acc":0.5,"note":"a,\"b\"\n"}"#.utf8), outputDirectories: ["results_p"])
        var files = ResultFiles(dataDirectory: "/data", on: fileSystem)
        let outcome = files.append([row], checkingPresence: true)
        guard outcome.owed.isEmpty else { return }
        let written = try readWholeFile(path, on: fileSystem)
        if written != bytes, written.last != 10 { throw FuzzFinding("the file does not end with a line end") }
        var later = ResultFiles(dataDirectory: "/data", on: fileSystem)
        let again = later.append([row], checkingPresence: true)
        if !again.owed.isEmpty { throw FuzzFinding("the row was written, and then not: \(again.errors)") }
        if try readWholeFile(path, on: fileSystem) != written {
            throw FuzzFinding("the next start writes the row again")
        }
    }
}
