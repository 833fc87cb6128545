import EventLog
import Foundation

extension Terminal {
    /// The columns of the terminal that standard output is; nil where it is none.
    static var width: Int? {
        let screen = ProgressScreen.standardOutput(environment: ProcessInfo.processInfo.environment)
        return screen.isTerminal ? screen.width : nil
    }

    /// Writes text to standard output.
    static func write(_ text: String) { write(Array(text.utf8)) }

    /// Asks for a yes on the terminal; true without asking where standard input or error is no terminal.
    static func confirms(_ question: String) -> Bool {
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else { return true }
        FileHandle.standardError.write(Data((question + " [y/N] ").utf8))
        let answer = readLine() ?? ""
        return ["y", "yes"].contains(answer.lowercased())
    }

    /// All of a file, or of standard input for `-`. Throws where it has more than `limit` bytes.
    static func read(_ name: String, limitBytes: Int = 1 << 30) throws -> [UInt8] {
        guard name == "-" else { return try readWholeFile(name, on: LocalFileSystem()) }
        var bytes: [UInt8] = []
        while let more = try FileHandle.standardInput.read(upToCount: 1 << 20), !more.isEmpty {
            bytes.append(contentsOf: more)
            guard bytes.count <= limitBytes else {
                throw VerbFailure("standard input has more than \(limitBytes >> 20) MiB: submit it in parts", status: 1)
            }
        }
        return bytes
    }
}
