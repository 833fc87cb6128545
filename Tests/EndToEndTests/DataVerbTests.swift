import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("The data verbs, with and without a running manager")
struct DataVerbTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path }

    init() throws { scratch = try TemporaryDirectory() }

    private func work(_ manager: RunningManager, tasks: Range<Int>) throws {
        let client = try LineClient(port: manager.workers)
        for number in tasks {
            #expect(
                client.ask(#"{"type":"add","tasks":[{"task_id":"t\#(number)","phase":"p","config":{"x":\#(number)}}]}"#)
                    == #"{"type":"added","added":1,"existing":0}"#)
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let done = client.ask(
                #"{"type":"complete","worker_id":"w","items":[{"task_id":"t\#(number)","attempt":1,"result":{"y":1}}]}"#
            )
            #expect(done?.contains(#""ok":true"#) == true)
        }
    }

    private func get(_ url: String, method: String = "GET") throws -> Data {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["curl", "-sf", "-X", method, url]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let answer = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(url)")
        return answer
    }

    private func array(_ json: Data) throws -> [[String: Any]] {
        try #require(try JSONSerialization.jsonObject(with: json) as? [[String: Any]])
    }

    @Test("a state file without its journal is refused by every verb that would take it for nothing, and left as it is")
    func stateWithoutJournal() throws {
        let manager = try RunningManager(data)
        try work(manager, tasks: 0..<3)
        #expect(manager.stop() == 0)
        try FileManager.default.removeItem(atPath: data + "/journal")
        let state = try readWholeFile(data + "/manager_state.json", on: LocalFileSystem())
        for verb in ["status", "tasks", "replay", "snapshot", "compact", "tail", "verify", "results", "workers"] {
            let run = try VerbRun([verb, "--data-dir", data])
            #expect(run.status == 2, "\(verb): \(run.output)")
        }
        #expect(try VerbRun(["cancel", "t0", "--yes", "--data-dir", data]).status == 2)
        #expect(try VerbRun(["submit", "--phase", "p", "--config", "{}", "--data-dir", data]).status == 2)
        #expect(try readWholeFile(data + "/manager_state.json", on: LocalFileSystem()) == state)
        #expect(!FileManager.default.fileExists(atPath: data + "/journal"))
    }

    @Test("snapshot writes over no state file that knows more than the journal, and over none of another program")
    func snapshotKeeps() throws {
        let manager = try RunningManager(data)
        try work(manager, tasks: 0..<3)
        #expect(manager.stop() == 0)
        let journal = try #require(try DataFiles.names(data + "/journal", prefix: "0").first)
        let path = data + "/journal/" + journal
        let lines = try readWholeFile(path, on: LocalFileSystem()).split(separator: 10)
        let shorter = Array(lines.prefix(3).joined(separator: [10])) + [10]
        try writeAll(shorter, to: try LocalFileSystem().open(path, .replace), at: 0)
        let state = try readWholeFile(data + "/manager_state.json", on: LocalFileSystem())
        #expect(try VerbRun(["snapshot", "--data-dir", data]).status == 2)
        #expect(try readWholeFile(data + "/manager_state.json", on: LocalFileSystem()) == state)

        let foreign = Array(#"{"tasks":{"a":{"task_id":"a","phase":"p","config":{},"status":"pending"}}}"#.utf8)
        try writeAll(foreign, to: try LocalFileSystem().open(data + "/manager_state.json", .replace), at: 0)
        #expect(try VerbRun(["snapshot", "--data-dir", data]).status == 1)
        #expect(try readWholeFile(data + "/manager_state.json", on: LocalFileSystem()) == foreign)
    }

    @Test("backups are written at the interval, after a segment and at a clean stop, and listed by verb and over HTTP")
    func backups() throws {
        let manager = try RunningManager(
            data, ["--backup-every", "1h", "--keep-backups", "2", "--segment-bytes", "2000"])
        #expect(try VerbRun(["backups", "--data-dir", data, "--json"]).output == "[]\n")
        try work(manager, tasks: 0..<20)
        let isBackedUp = try eventuallyBlocking {
            try DataFiles.names(data + "/backups", prefix: "manager_state-").contains { $0.hasSuffix("gz") }
        }
        try #require(isBackedUp, "no backup after a sealed segment")
        let overHTTP = try array(try get(manager.http + "/api/v1/backups"))
        #expect(overHTTP.count >= 1 && overHTTP.allSatisfy { $0["ok"] as? Bool == true })
        #expect(manager.stop() == 0)
        let list = try array(Data(try VerbRun(["backups", "--data-dir", data, "--json"]).output.utf8))
        #expect(list.count == 2)
        let newest = try #require(list.last)
        let state = try #require(try DataFiles.object(data + "/manager_state.json")["journal"] as? [String: Any])
        #expect(newest["seq"] as? Int == state["seq"] as? Int, "a clean stop leaves a backup of the last state")
        #expect(Set(newest.keys) == ["file", "seq", "time", "bytes", "ok", "verified"])
        #expect(newest["verified"] as? String != nil)

        let name = try #require(newest["file"] as? String)
        let path = data + "/backups/" + name
        var bytes = try readWholeFile(path, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 1
        try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
        let damaged = try VerbRun(["backups", "--data-dir", data, "--json"])
        #expect(damaged.status == 2)
        #expect(try array(Data(damaged.output.utf8)).last?["ok"] as? Bool == false)
        #expect(try VerbRun(["backups", "--data-dir", data]).output.contains("damaged"))
    }

    @Test("reset sets everything aside, and the next start is a fresh one")
    func reset() throws {
        let manager = try RunningManager(data)
        try work(manager, tasks: 0..<3)
        let held = try VerbRun(["reset", "--yes", "--data-dir", data])
        #expect(held.status == 1)
        #expect(
            held.errors.contains("pid \(manager.process.processIdentifier) on ") && held.errors.contains(manager.http))
        #expect(manager.stop() == 0)
        let before = try DataFiles.all(data)
        let unasked = try VerbRun(["reset", "--data-dir", data], input: "yes\n")
        #expect(unasked.status == 64)
        #expect(unasked.errors.contains("--yes"))
        #expect(try DataFiles.all(data) == before)
        let done = try VerbRun(["reset", "--yes", "--data-dir", data, "--json"])
        #expect(done.status == 0, "\(done.errors)")
        let archive = try #require(try done.object()["archive"] as? String)
        #expect(try LocalFileSystem().list(data) == [archive, "results_p"])
        #expect(try VerbRun(["status", "--data-dir", data + "/" + archive]).output.contains("3/3"))
        #expect(try VerbRun(["verify", "--data-dir", data + "/" + archive]).status == 0)
        let fresh = try RunningManager(data)
        #expect(fresh.stop() == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", data]).object()["total"] as? Int == 0)
        #expect(try VerbRun(["reset", "--yes", "--data-dir", data]).status == 0)
        #expect(try VerbRun(["reset", "--yes", "--data-dir", data]).output.contains("nothing to reset"))
    }

    @Test("reset asks on a terminal, and does nothing without a yes", arguments: [("no\n", Int32(1)), ("yes\n", 0)])
    func resetAsks(answer: String, status: Int32) throws {
        let manager = try RunningManager(data)
        #expect(manager.stop() == 0)
        // A terminal of the test's own: unlocked, then its number asked for.
        let terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (isLocked, number) = (Int32(0), Int32(-1))
        let unlocked = ioctl(terminal, 0x4004_5431, &isLocked)
        let numbered = ioctl(terminal, 0x8004_5430, &number)
        try #require(terminal >= 0 && unlocked == 0 && numbered == 0)
        defer { close(terminal) }
        let name = "/dev/pts/\(number)"
        let side = open(name, O_RDWR | O_NOCTTY)
        try #require(side >= 0)
        let process = Process()
        process.executableURL = RunningManager.binary
        process.arguments = ["reset", "--data-dir", data]
        process.standardInput = FileHandle(fileDescriptor: side, closeOnDealloc: true)
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = Array(answer.utf8)
        #expect(write(terminal, bytes, bytes.count) == bytes.count)
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == status)
        #expect(text.contains("Type yes"))
        #expect(try DataFiles.names(data, prefix: "archive-").isEmpty == (status == 1))
    }

    @Test("compact keeps every line, with a running manager and without, and notes what it did")
    func compact() throws {
        func lines() throws -> [Substring] {
            try VerbRun(["tail", "--from", "1", "-n", "1000000", "--json", "--data-dir", data]).output
                .split(separator: "\n")
        }
        let manager = try RunningManager(data, ["--segment-bytes", "2000"])
        try work(manager, tasks: 0..<30)
        let before = try lines()
        let live = try VerbRun(["compact", "--data-dir", data, "--json"])
        #expect(live.status == 0, "\(live.errors)")
        let report = try live.object()
        let files = try #require(report["segments_before"] as? Int)
        #expect(files > 5 && report["segments_after"] as? Int == 2, "\(report)")
        #expect(try #require(report["bytes_after"] as? Int) < #require(report["bytes_before"] as? Int))
        try work(manager, tasks: 30..<40)
        #expect(manager.stop() == 0)
        let offline = try VerbRun(["compact", "--data-dir", data])
        #expect(offline.status == 0, "\(offline.errors)")
        #expect(offline.output.contains("every line is kept"))
        let after = try lines()
        #expect(Array(after.prefix(before.count)) == before)
        #expect(after.count { $0.contains(#""type":"compacted","note":true"#) } == 2)
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
        let again = try RunningManager(data)
        #expect(again.stop() == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", data]).object()["complete"] as? Int == 40)
        #expect(try VerbRun(["compact", "--data-dir", data + "/nowhere"]).status == 1)
    }
}
