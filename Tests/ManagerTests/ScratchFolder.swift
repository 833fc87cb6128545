import EventLog
import Foundation

/// A real directory of a test's own, removed at its end.
final class ScratchFolder {
    /// Where it is.
    let path: String

    /// Makes an empty directory.
    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/manager-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Writes a file, making its directory.
    func write(_ text: String, to name: String) throws {
        let target = path + "/" + name
        try FileManager.default.createDirectory(
            atPath: parentDirectory(of: target), withIntermediateDirectories: true)
        // In place, as programs append and editors write: the file stays the same one.
        let file = try LocalFileSystem().open(target, .replace)
        try writeAll(Array(text.utf8), to: file, at: 0)
        file.close()
    }

    /// Adds text at the end of a file, as another program does.
    func append(_ text: String, to name: String) throws {
        let file = try LocalFileSystem().open(path + "/" + name, .update)
        try writeAll(Array(text.utf8), to: file, at: try file.sizeBytes())
        file.close()
    }

    /// The text of a file.
    func read(_ name: String) throws -> String {
        String(decoding: try readWholeFile(path + "/" + name, on: LocalFileSystem()), as: UTF8.self)
    }

    /// True when something has the name.
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path + "/" + name) }

    /// The lines of a file.
    func lines(_ name: String) throws -> [String] { try read(name).split(separator: "\n").map(String.init) }
}
