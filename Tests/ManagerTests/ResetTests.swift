import EventLog
import Foundation
import Glibc
import Projections
import TestSupport
import Testing

@testable import manager

@Suite("Reset, stopped at each step")
struct ResetTests {
    private let template: TemporaryDirectory

    init() throws {
        template = try TemporaryDirectory()
        try SampleData.make(template.path, tasks: 5, completed: 2)
        try Backups(DataDirectory(template.path), thinning: BackupThinning()).write(
            try SampleData.state(template.path), paced: false)
        let fileSystem = LocalFileSystem()
        for (name, text) in [
            ("results_p/logs/p_0.1.log", "output"), ("results_p/model.bin", "weights"),
            (".outbox/p_3.1.outcome.json", "{}"), (".outbox/p_4.1.running.json", "{}"), ("sweep.yaml", "p: {}"),
            ("checkpoints/00000000000000000002.json.gz", "gz"),
        ] {
            let path = template.path + "/" + name
            try fileSystem.createDirectories(parentDirectory(of: path))
            try text.write(toFile: path, atomically: true, encoding: .utf8)
        }
    }

    private func copy() throws -> TemporaryDirectory {
        let scratch = try TemporaryDirectory()
        try FileManager.default.removeItem(atPath: scratch.path)
        try FileManager.default.copyItem(atPath: template.path, toPath: scratch.path)
        return scratch
    }

    private func reset(_ data: DataDirectory, keepsResults: Bool = false) throws -> Reset.Done {
        let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
        defer { lock.release() }
        let reset = Reset(data: data, keepsResults: keepsResults)
        return try reset.run(try reset.plan())
    }

    @Test("everything of the manager's goes into the archive, everything else stays, and the archive can be read")
    func whole() throws {
        let scratch = try copy()
        let before = try SampleData.files(scratch.path)
        let done = try reset(DataDirectory(scratch.path))
        let after = try SampleData.files(scratch.path)
        let stays: Set = ["results_p/model.bin", ".outbox/p_4.1.running.json", "sweep.yaml"]
        for (name, bytes) in before {
            let place = stays.contains(name) ? name : "\(done.archive)/\(name)"
            #expect(after[place] == bytes, "\(name)")
        }
        #expect(after.count == before.count)
        #expect(try SampleData.state(scratch.path).taskCount == 0)
        #expect(try SampleData.state(scratch.path + "/" + done.archive).taskCount == 5)
    }

    @Test("with --keep-results rows and logs stay where they are")
    func keepResults() throws {
        let scratch = try copy()
        let done = try reset(DataDirectory(scratch.path), keepsResults: true)
        let files = try SampleData.files(scratch.path)
        #expect(files["final_results.csv"] != nil && files["results_p/logs/p_0.1.log"] != nil)
        #expect(files["\(done.archive)/manager_state.json"] != nil)
    }

    @Test("whatever step it stops at, no byte is lost, and the next start finds all of the old data or none of it")
    func stopAnywhere() throws {
        let counting = FailingFileSystem(failingCall: 0)
        let first = try copy()
        _ = try reset(DataDirectory(first.path, on: counting))
        #expect(counting.changingCalls > 15)
        for failing in 1...counting.changingCalls {
            let scratch = try copy()
            let before = try SampleData.files(scratch.path).values.map { $0 }
            let failingDisk = FailingFileSystem(failingCall: failing)
            #expect(throws: (any Error).self, "call \(failing)") {
                _ = try reset(DataDirectory(scratch.path, on: failingDisk))
            }
            let after = try SampleData.files(scratch.path).values.map { $0 }
            func sorted(_ files: [[UInt8]]) -> [[UInt8]] { files.sorted { $0.lexicographicallyPrecedes($1) } }
            #expect(sorted(before) == sorted(after), "call \(failing)")
            let journal = try DataDirectory(scratch.path).journal.segments()
            let state = try SampleData.state(scratch.path)
            #expect(state.taskCount == (journal.isEmpty ? 0 : 5), "call \(failing)")
            if !journal.isEmpty {
                // The rows that went into the archive are written anew: no snapshot says that they stand.
                let rows = try String(contentsOfFile: scratch.path + "/final_results.csv", encoding: .utf8)
                #expect(rows.split(separator: "\n").count == 3, "call \(failing)")
            }
        }
    }

    @Test("what lies on another disk gets another name beside its old one, and completes nothing afterwards")
    func otherDisk() throws {
        let counting = FailingFileSystem(failingCall: 0)
        let first = try copy()
        _ = try reset(DataDirectory(first.path, on: counting))
        let renames = counting.log.enumerated().filter { $1.hasPrefix("rename ") && !$1.hasSuffix("/journal") }
        #expect(renames.count >= 5)
        for (index, call) in renames {
            let scratch = try copy()
            let before = try SampleData.files(scratch.path)
            let disk = FailingFileSystem(failingCall: index + 1, .once, errno: EXDEV)
            let done = try reset(DataDirectory(scratch.path, on: disk))
            let name = String(call.dropFirst("rename ".count + first.path.count + 1))
            #expect(done.renamed == ["\(name).\(done.archive)"], "\(call)")
            #expect(!done.moved.contains(name))
            let after = try SampleData.files(scratch.path)
            for (path, bytes) in before where path == name || path.hasPrefix(name + "/") {
                #expect(after[path.replacing(name, with: "\(name).\(done.archive)")] == bytes, "\(path)")
            }
            #expect(after.count == before.count)
            #expect(try SampleData.state(scratch.path).taskCount == 0, "\(call)")
        }
    }

    @Test("a lock that was opened before a reset moved it away is not taken for the directory's")
    func movedLock() throws {
        let scratch = try copy()
        let data = DataDirectory(scratch.path)
        let old = try data.fileSystem.open(data.lockFile, .update)
        _ = try reset(data)
        #expect(try old.tryLock())
        let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
        lock.release()
    }
}
