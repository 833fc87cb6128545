import Foundation
import TestSupport
import Testing

@Suite("Verbs that stay", .serialized)
struct WatchingVerbTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
        let task = #"{"task_id":"a","phase":"p","config":{}}"#
        try #require(try VerbRun(["submit", "-", "--data-dir", data], input: task).status == 0)
    }

    /// A verb in the background that writes to a file.
    private func start(_ arguments: [String], output: String) throws -> Process {
        let process = Process()
        process.executableURL = RunningManager.binary
        process.arguments = arguments
        try "".write(toFile: output, atomically: false, encoding: .utf8)
        process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    /// Waits until a file holds a text; false after 20 s.
    private func waits(for text: String, in path: String) throws -> Bool {
        try eventuallyBlocking(within: .seconds(20)) {
            try String(contentsOfFile: path, encoding: .utf8).contains(text)
        }
    }

    @Test("status --watch shows each change, a line at a time where there is no terminal")
    func watch() throws {
        let output = scratch.path + "/out"
        let watching = try start(["status", "--watch", "--data-dir", data], output: output)
        defer { watching.terminate() }
        #expect(try waits(for: "0/1 (0.0%), 1 pending\n", in: output))
        #expect(try VerbRun(["hold", "a", "--data-dir", data]).status == 0)
        #expect(try waits(for: "0/1 (0.0%), 1 held\n", in: output))
        #expect(watching.isRunning)
        #expect(try VerbRun(["status", "--watch", "--seq", "1", "--data-dir", data]).status == 64)
    }

    @Test("logs -f shows what a running program writes, and ends with its attempt")
    func followLog() throws {
        let go = scratch.path + "/go"
        let program = "echo begin; while [ ! -e \(go) ]; do sleep 0.02; done; echo finished"
        let sweep = scratch.path + "/s.yaml"
        try "q:\n  combinations:\n    - b: [1]\n".write(toFile: sweep, atomically: true, encoding: .utf8)
        #expect(try VerbRun(["cancel", "a", "--data-dir", data]).status == 0)
        let run = try start(
            ["run", sweep, "--data-dir", data, "--", "sh", "-c", program], output: scratch.path + "/run")
        let log = data + "/results_q/logs/q_0_42.1.log"
        try #require(try eventuallyBlocking { FileManager.default.fileExists(atPath: log) })
        let output = scratch.path + "/out"
        let following = try start(["logs", "q_0_42", "-f", "--data-dir", data], output: output)
        #expect(try waits(for: "begin\n", in: output))
        #expect(following.isRunning)
        try "".write(toFile: go, atomically: false, encoding: .utf8)
        following.waitUntilExit()
        run.waitUntilExit()
        #expect(following.terminationStatus == 0)
        #expect(try String(contentsOfFile: output, encoding: .utf8) == "begin\nfinished\n")
    }
}
