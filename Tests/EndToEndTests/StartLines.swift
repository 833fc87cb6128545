import Foundation
import TestSupport
import Testing

extension RunningManager {
    /// What a start printed, once the manager has ended.
    func printed() throws -> [String] {
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        return String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Sends one request in the old form and reads the answer.
    func once(_ request: String) throws -> String? {
        let client = try LineClient(port: workers, fast: false)
        client.send(request)
        return client.line()
    }
}

/// A data directory of a test and what stands in it.
struct DataFolder {
    let scratch: TemporaryDirectory
    var path: String { scratch.path }

    /// Makes an empty one.
    init() throws { scratch = try TemporaryDirectory() }

    /// Writes a file, making its directory.
    func write(_ text: String, to name: String) throws {
        let target = URL(fileURLWithPath: path + "/" + name)
        try FileManager.default.createDirectory(
            at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data(text.utf8).write(to: target)
    }

    /// Adds text at the end of a file, as another program does.
    func append(_ text: String, to name: String) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path + "/" + name))
        defer { handle.closeFile() }
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
    }

    /// The tasks of the state as it is on the disk, by id.
    func tasks() throws -> [String: [String: Any]] {
        let (status, output) = try RunningManager.verb("replay", "--data-dir", path)
        try #require(status == 0, "\(output)")
        let state = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any]
        return try #require(state?["tasks"] as? [String: [String: Any]])
    }

    /// A task's status now.
    func status(_ id: String) throws -> String? { try tasks()[id]?["status"] as? String }

    /// Waits until a task has a status.
    func wait(for id: String, _ wanted: String, seconds: Double = 30) throws {
        let has = try eventuallyBlocking(within: .seconds(seconds)) { try status(id) == wanted }
        let found = try status(id) ?? "unknown"
        try #require(has, "\(id) is \(found), not \(wanted)")
    }

    /// The journal's lines of a type, as `tail --json` prints them.
    func events(_ type: String) throws -> [[String: Any]] {
        let (_, output) = try RunningManager.verb(
            "tail", "--data-dir", path, "--from", "1", "--json", "--type", type)
        return try output.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }
}
