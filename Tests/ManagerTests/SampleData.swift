import EventLog
import Foundation
import Projections

@testable import manager

/// A data directory with a few tasks, made by the manager's own parts.
enum SampleData {
    /// Adds tasks `p_0` … to a directory, claims and completes the first `completed` with results, and saves the state.
    static func make(_ path: String, tasks: Int, completed: Int = 0, from first: Int = 0) throws {
        let offline = try open(DataDirectory(path))
        let processor = offline.processor
        let specs = (first..<(first + tasks)).map { number in
            TaskSpec(
                id: "p_\(number)", phase: "p", config: Array("{\"x\":\(number)}".utf8), outputDirectories: ["results_p"]
            )
        }
        _ = try processor.add(specs, actor: nil)
        for number in first..<(first + completed) {
            let task = "p_\(number)"
            processor.record([.assigned(Event.Assignment(task: task, worker: "w", attempt: 1))], actor: nil)
            let position = processor.snapshot.position
            let decided = try processor.complete(
                task, by: ManagerState.Speaker(worker: "w"), result: Array("{\"y\":1}".utf8), actor: nil)
            processor.writer.waitUntilDurable(max(position, decided.position))
            if let row = decided.answer.row { processor.results.write(row, done: {}) }
        }
        try offline.close()
    }

    /// The directory's parts, with the lock held.
    static func open(
        _ data: DataDirectory, warn: @escaping @Sendable (String) -> Void = { _ in }
    ) throws -> OfflineManager {
        let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
        return try OfflineManager(data, lock, warn: warn)
    }

    /// The state that a start finds.
    static func state(_ path: String, warn: @escaping @Sendable (String) -> Void = { _ in }) throws -> ManagerState {
        let offline = try open(DataDirectory(path), warn: warn)
        defer { offline.processor.writer.close() }
        return offline.processor.snapshot
    }

    /// Every file below a directory but the lock, by relative path.
    static func files(_ path: String) throws -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        for name in try FileManager.default.subpathsOfDirectory(atPath: path) where !name.hasSuffix("journal/lock") {
            if try LocalFileSystem().metadata(path + "/" + name)?.isDirectory == false {
                found[name] = try readWholeFile(path + "/" + name, on: LocalFileSystem())
            }
        }
        return found
    }
}
