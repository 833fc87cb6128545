import EventLog
import Foundation
import TestSupport
import Testing

/// A sweep file with a data directory, and `manager run` on it.
struct SweepRun {
    /// The data directory.
    let data: String
    private let sweep: String
    private let directory: String

    /// Writes the sweep file into a directory of a test's own.
    init(_ yaml: String, in directory: String) throws {
        sweep = directory + "/sweep.yaml"
        data = directory + "/data"
        self.directory = directory
        try yaml.write(toFile: sweep, atomically: true, encoding: .utf8)
    }

    /// Starts `manager run` with these options and this shell script as the command; its braces are no keys.
    /// Its output goes to a file of this name beside the sweep file.
    func start(
        _ options: [String], script: String, _ arguments: String..., output: String = "run.out"
    ) throws -> StartedProgram {
        let script = script.replacing("{", with: "{{").replacing("}", with: "}}")
        return try StartedProgram(
            [RunningManager.binary.path, "run", sweep, "--data-dir", data] + options
                + ["--", "sh", "-c", script] + arguments, outputPath: "\(directory)/\(output)")
    }

    /// The journal's events of a type, in order.
    func events(_ type: String) throws -> [[String: Any]] {
        let journal = data + "/journal"
        let segments = try LocalFileSystem().list(journal).filter { $0.hasSuffix(".jsonl") }
        try #require(!segments.isEmpty, "no journal")
        return try segments.flatMap { name -> [[String: Any]] in
            let lines = try String(contentsOfFile: "\(journal)/\(name)", encoding: .utf8).split(separator: "\n")
            return try lines.map {
                try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
            }
        }.filter { $0["type"] as? String == type }
    }

    /// What stands in a file of the data directory; nil where there is none.
    func text(_ name: String) throws -> String? {
        guard FileManager.default.fileExists(atPath: "\(data)/\(name)") else { return nil }
        return try String(contentsOfFile: "\(data)/\(name)", encoding: .utf8)
    }

    /// Writes a file into the data directory.
    func write(_ text: String, to name: String) throws {
        try text.write(toFile: "\(data)/\(name)", atomically: true, encoding: .utf8)
    }

    /// The names in `.gpu_locks/`.
    func locks() throws -> [String] { try LocalFileSystem().list(data + "/.gpu_locks") }
}
