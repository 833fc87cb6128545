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

    /// Says on standard error what is about to be done, and asks for a yes where that and standard input are a terminal;
    /// true without asking elsewhere.
    static func confirms(_ statement: String) -> Bool {
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
            complain(statement)
            return true
        }
        FileHandle.standardError.write(Data((statement + ". Go on? [y/N] ").utf8))
        let answer = readLine() ?? ""
        return ["y", "yes"].contains(answer.lowercased())
    }

    /// All of a file, of a pipe such as a shell's `<(command)`, or of standard input for `-`. Throws where a pipe has more
    /// than `limit` bytes.
    static func read(_ name: String, limitBytes: Int = 1 << 30) throws -> [UInt8] {
        let disk = LocalFileSystem()
        var input = FileHandle.standardInput
        if name != "-" {
            guard let metadata = try disk.metadata(name), !metadata.isRegular, !metadata.isDirectory else {
                return try readWholeFile(name, on: disk)
            }
            input = try FileHandle(forReadingFrom: URL(fileURLWithPath: name))
        }
        var bytes: [UInt8] = []
        while let more = try input.read(upToCount: 1 << 20), !more.isEmpty {
            bytes.append(contentsOf: more)
            guard bytes.count <= limitBytes else {
                throw VerbFailure(
                    "\(name == "-" ? "standard input" : name) has more than \(limitBytes >> 20) MiB: submit it in parts",
                    status: 1)
            }
        }
        return bytes
    }
}
