import EventLog
import Foundation

/// A directory of a test's own, removed with everything in it when the value goes.
public final class TemporaryDirectory: Sendable {
    /// Its absolute path.
    public let path: String

    /// Makes a new directory.
    public init() throws {
        path = NSTemporaryDirectory() + "/manager-test-\(UUID().uuidString)"
        try LocalFileSystem().createDirectories(path)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path): \(error)") }
    }
}

/// A journal's body for tests of the log, which knows no tasks.
public func sampleCommand(_ text: String, events: Int = 1) -> EncodedCommand {
    var command = EncodedCommand()
    for index in 0..<events {
        command.append { $0.append(contentsOf: #""type":"note","note":true,"text":"\#(text)-\#(index)""#.utf8) }
    }
    return command
}
