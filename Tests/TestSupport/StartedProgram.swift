import EventLog
import Foundation
import Glibc

/// A program that a test has started: killed when the value goes, if it still runs.
public final class StartedProgram {
    private let process = Process()
    private let input = Pipe()
    private let outputPath: String

    /// Its process id.
    public var pid: Int32 { process.processIdentifier }
    /// True while it runs.
    public var isRunning: Bool { process.isRunning }

    /// Starts `arguments`, the program first (found in PATH), with an open standard input. Its output, both streams,
    /// goes to the file `outputPath`.
    public init(_ arguments: [String], outputPath: String) throws {
        self.outputPath = outputPath
        try LocalFileSystem().open(outputPath, .replace).close()
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: outputPath))
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try output.close()
    }

    deinit { if process.isRunning { Glibc.kill(process.processIdentifier, SIGKILL) } }

    /// What it has written so far.
    public func output() throws -> String {
        String(decoding: try readWholeFile(outputPath, on: LocalFileSystem()), as: UTF8.self)
    }

    /// Ends its standard input.
    public func closeInput() throws { try input.fileHandleForWriting.close() }

    /// Sends a signal and waits for the end; the exit status, or the signal that ended it.
    @discardableResult
    public func end(by signal: Int32) -> Int32 {
        Glibc.kill(process.processIdentifier, signal)
        return wait()
    }

    /// Waits for the end; the exit status, or the signal that ended it.
    @discardableResult
    public func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }
}
