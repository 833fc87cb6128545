import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// What somebody has put where a result file is due.
enum Obstacle: String, CaseIterable, Sendable {
    case pipe, directory

    func make(_ path: String) throws {
        switch self {
        case .pipe: try #require(mkfifo(path, 0o644) == 0)
        case .directory: try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        }
    }

    /// What the warning calls it.
    var words: String { self == .pipe ? "is a pipe or device, no file" : "is a directory, no file" }
}

@Suite("Something else than a file has a result file's name", .serialized)
struct ResultPlaceTests {
    private let folder: DataFolder

    init() throws { folder = try DataFolder() }

    private func start() throws -> (manager: StartedProgram, http: String) {
        let log = folder.path + "/serve.log"
        let manager = try StartedProgram(
            [
                RunningManager.binary.path, "serve", "--data-dir", folder.path, "--listen", "127.0.0.1:0",
                "--worker-listen", "127.0.0.1:0", "--csv-every", "20ms",
            ], outputPath: log)
        var http = ""
        let isUp = try eventuallyBlocking {
            guard FileManager.default.fileExists(atPath: folder.path + "/journal/lock") else { return false }
            let line = try String(contentsOfFile: folder.path + "/journal/lock", encoding: .utf8)
            guard line.contains("\"pid\":\(manager.pid),"), let found = line.range(of: "\"http\":\"") else {
                return false
            }
            http = "http://" + line[found.upperBound...].prefix { $0 != "\"" }
            return true
        }
        let said = try manager.output()
        try #require(isUp, "\(said)")
        return (manager, http)
    }

    private func complete(_ http: String, _ id: String) throws -> Int {
        _ = try HTTPCaller.call(http, "POST", "/tasks", #"{"task_id":"\#(id)","phase":"p","config":{}}"#)
        _ = try HTTPCaller.call(http, "POST", "/claims", #"{"worker":"w"}"#)
        let body = #"{"worker":"w","attempt":1,"result":{"y":1}}"#
        return try HTTPCaller.call(http, "POST", "/tasks/\(id)/complete", body).status
    }

    @Test(
        "the completion stands, its row stays owed and is warned of once; the other files get theirs, and a stop works",
        arguments: Obstacle.allCases, ["results_p/final_results.csv", "final_results.csv"])
    func owed(obstacle: Obstacle, name: String) throws {
        let path = folder.path + "/" + name
        try FileManager.default.createDirectory(
            atPath: folder.path + "/results_p", withIntermediateDirectories: true)
        try obstacle.make(path)
        var (manager, http) = try start()
        #expect(try complete(http, "a") == 200)
        #expect(try complete(http, "b") == 200)
        #expect(manager.end(by: SIGTERM) == 0)
        let said = try manager.output()
        let warnings = said.split(separator: "\n").filter { $0.contains(obstacle.words) }
        #expect(warnings.count == 1 && warnings.first?.contains(name) == true, "\(said)")
        #expect(said.contains("the state was not saved: result rows are still owed"), "\(said)")
        #expect(said.contains("Saved journal: 2 tasks"), "\(said)")
        let other = name == "final_results.csv" ? "results_p/final_results.csv" : "final_results.csv"
        #expect(try rows(other) == ["a,1,p,42,1", "b,1,p,42,1"])
        #expect(try folder.tasks().values.allSatisfy { $0["status"] as? String == "complete" })
        // It is still there at the next start, and goes while the manager runs.
        (manager, http) = try start()
        #expect(try complete(http, "c") == 200)
        try FileManager.default.removeItem(atPath: path)
        let isWritten = try eventuallyBlocking {
            guard FileManager.default.fileExists(atPath: path) else { return false }
            return try rows(name).count == 3
        }
        #expect(isWritten)
        let isTold = try eventuallyBlocking { try manager.output().contains("the rows that were owed are written now") }
        #expect(isTold)
        #expect(manager.end(by: SIGTERM) == 0)
        #expect(try manager.output().contains("Saved state: 3 tasks"))
        #expect(try rows(name) == ["a,1,p,42,1", "b,1,p,42,1", "c,1,p,42,1"])
        #expect(try rows(other) == ["a,1,p,42,1", "b,1,p,42,1", "c,1,p,42,1"])
    }

    private func rows(_ name: String) throws -> [String] {
        let text = try String(contentsOfFile: folder.path + "/" + name, encoding: .utf8)
        return text.split(separator: "\n").dropFirst().map(String.init)
    }

    @Test("rows of others in a pipe are not waited for, also where --results names it")
    func pipeIn() throws {
        try FileManager.default.createDirectory(
            atPath: folder.path + "/results_q", withIntermediateDirectories: true)
        for name in ["results_q/final_results.csv", "more.csv"] { try Obstacle.pipe.make(folder.path + "/" + name) }
        let manager = try RunningManager(folder.path, ["--csv-every", "10ms", "--results", folder.path + "/more.csv"])
        try folder.write("task_id\na\n", to: "results_p/final_results.csv")
        let body = #"{"task_id":"a","phase":"p","config":{}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
        try folder.append("a\n", to: "results_p/final_results.csv")
        try folder.wait(for: "a", "complete")
        #expect(manager.stop() == 0)
    }

    @Test("submit reads a pipe that the shell makes")
    func submitPipe() throws {
        let line = #"{"task_id":"a","phase":"p","config":{}}"#
        let command = "'\(RunningManager.binary.path)' submit --data-dir '\(folder.path)' <(echo '\(line)')"
        let program = try StartedProgram(["bash", "-c", command], outputPath: folder.path + "/out")
        #expect(program.wait() == 0)
        #expect(try program.output() == "added 1 task, 0 stood already\n")
    }
}
