import EventLog
import Foundation
import TestSupport
import Testing

/// `restore` against the real binary, compared with a fold of the test's own.
@Suite("Restore", .serialized)
struct RestoreTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func verb(_ arguments: String..., input: String = "") throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst(), input: input)
    }

    private func post(_ manager: RunningManager, _ path: String, _ body: String) throws {
        let answer = try HTTPCaller.call(manager.http, "POST", path, body)
        try #require(answer.status == 200, "\(path) \(body): \(answer.status) \(answer.body)")
    }

    private func add(_ manager: RunningManager, _ ids: [String], retries: Int = 3) throws {
        let tasks = ids.map { #"{"task_id":"\#($0)","phase":"p","config":{"x":1},"max_retries":\#(retries)}"# }
        try post(manager, "/tasks", "[\(tasks.joined(separator: ","))]")
    }

    /// Claims so many tasks and reports each by `report`.
    private func claim(_ manager: RunningManager, _ count: Int, _ report: (String, Int) throws -> Void = { _, _ in })
        throws
    {
        let answer = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w","count":\#(count)}"#)
        for task in try #require(answer["tasks"] as? [[String: Any]]) {
            try report(
                try #require(task["task_id"] as? String), try #require(task["attempt"] as? Int))
        }
    }

    /// Every status, then every status changed: the seq between.
    private func story(_ manager: RunningManager) throws -> Int {
        try add(manager, ["done", "lost", "again", "kept"])
        try claim(manager, 2) { id, attempt in
            try post(manager, "/tasks/\(id)/complete", #"{"worker":"w","attempt":\#(attempt),"result":{"y":1}}"#)
        }
        try claim(manager, 1) { id, attempt in
            try post(manager, "/tasks/\(id)/fail", #"{"worker":"w","attempt":\#(attempt),"error":"first"}"#)
        }
        try claim(manager, 2)
        try add(manager, ["dead"], retries: 0)
        try claim(manager, 1) { id, attempt in
            try post(manager, "/tasks/\(id)/fail", #"{"worker":"w","attempt":\#(attempt),"error":"gone"}"#)
        }
        try add(manager, ["held", "cancelled", "open"])
        try post(manager, "/tasks/held/hold", "{}")
        try post(manager, "/tasks/cancelled/cancel", "{}")
        let seq = try #require(try HTTPCaller.call(manager.http, "GET", "/status")["seq"] as? Int)
        try add(manager, ["later", "later2"])
        for id in ["done", "lost", "cancelled"] { try post(manager, "/tasks/\(id)/requeue", "{}") }
        try post(manager, "/tasks/dead/retry", "{}")
        try post(manager, "/tasks/held/release", "{}")
        try post(manager, "/tasks/again/requeue", "{}")
        try claim(manager, 4) { id, attempt in
            try post(manager, "/tasks/\(id)/complete", #"{"worker":"w","attempt":\#(attempt),"result":{"y":2}}"#)
        }
        try post(manager, "/tasks/open/hold", "{}")
        return seq
    }

    @Test("brings status and retry_count back to a seq, and a restore is restored")
    func everyStatus() throws {
        let manager = try RunningManager(data)
        let seq = try story(manager)
        let held = try verb("restore", "--seq", "\(seq)")
        #expect(held.status == 1)
        #expect(held.errors.contains("pid \(manager.process.processIdentifier)"), "\(held.errors)")
        #expect(manager.stop() == 0)

        let then = try IndependentFold(directory: data, upTo: seq)
        let now = try IndependentFold(directory: data)
        let files = try DataFiles.all(data)
        let dry = try verb("restore", "--seq", "\(seq)", "--dry-run", "--json")
        #expect(dry.status == 0, "\(dry.errors)")
        #expect(try DataFiles.all(data) == files)
        let shown = try #require(try dry.object()["tasks"] as? [[String: Any]])
        #expect(shown.count == now.tasks.count { then.restored(over: now)[$0.key] != $0.value })

        let run = try verb("restore", "--seq", "\(seq)", "--json")
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.object()
        for name in ["backup_before", "backup_after"] {
            let file = try #require(report[name] as? String)
            #expect(FileManager.default.fileExists(atPath: data + "/backups/" + file))
        }
        let after = try IndependentFold(directory: data)
        #expect(after.tasks == then.restored(over: now))
        let lines = try verb("tail", "--from", "\(now.last + 1)", "-n", "1000", "--json").output.split(separator: "\n")
            .filter { !$0.contains("\"type\":\"csv_read\"") }
        #expect(lines.first?.contains(#""type":"restored","note":true"#) == true, "\(lines)")
        #expect(lines.first?.contains(#""to_seq":\#(seq),"counts":{"#) == true, "\(lines)")
        #expect(!lines.contains { $0.contains("\"result\":") })
        #expect(try verb("verify").status == 0)

        // Old rows complete nothing again, and nothing is owed.
        let rows = try readWholeFile(data + "/final_results.csv", on: LocalFileSystem())
        let again = try RunningManager(data, ["--csv-every", "100ms"])
        #expect(again.stop() == 0)
        #expect(try IndependentFold(directory: data).tasks == after.tasks)
        #expect(try readWholeFile(data + "/final_results.csv", on: LocalFileSystem()) == rows)

        #expect(try verb("restore", "--seq", "\(now.last)").status == 0)
        #expect(try IndependentFold(directory: data).tasks == now.restored(over: after))
    }

    @Test("to a time, and to a backup; rows of others that nobody has read yet count before, not after")
    func backupAndRows() throws {
        let manager = try RunningManager(data, ["--csv-every", "1h"])
        try add(manager, ["a", "b", "c"])
        try claim(manager, 1) { id, attempt in
            try post(manager, "/tasks/\(id)/complete", #"{"worker":"w","attempt":\#(attempt),"result":{"y":1}}"#)
        }
        #expect(manager.stop() == 0)
        let then = try IndependentFold(directory: data)
        let backup = try #require(try DataFiles.names(data + "/backups", prefix: "manager_state-").last)
        #expect(try verb("cancel", "b", "--yes").status == 0)
        let path = data + "/results_p/final_results.csv"
        var rows = try readWholeFile(path, on: LocalFileSystem())
        rows += Array("c,,p,42,1,7\n".utf8)
        try writeAll(rows, to: try LocalFileSystem().open(path, .replace), at: 0)
        let run = try verb("restore", "--backup", backup, "--json")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try run.object()["completed_by_rows"] as? Int == 1)
        let now = try IndependentFold(directory: data)
        #expect(now.tasks == then.restored(over: now))
        #expect(now.tasks["c"]?.status == "pending")
        let again = try RunningManager(data, ["--csv-every", "100ms"])
        #expect(again.stop() == 0)
        #expect(try IndependentFold(directory: data).tasks == now.tasks)

        let second = try #require(
            try verb("tail", "--from", "2", "-n", "1000", "--json").output.split(separator: "\n").first)
        let time = try #require(second.components(separatedBy: "\"time\":\"").last?.prefix { $0 != "\"" })
        #expect(try verb("restore", "--at", String(time)).status == 0)
        #expect(try IndependentFold(directory: data).tasks.values.allSatisfy { $0.status == "pending" })
        #expect(try verb("restore").status == 64)
        #expect(try verb("restore", "--seq", "1", "--backup", backup).status == 64)
    }

    @Test("a backup beyond the journal's end, of another journal, or damaged is refused, and nothing is written")
    func refusedBackups() throws {
        for (name, count) in [("data", 2), ("other", 1), ("long", 30)] {
            let manager = try RunningManager(scratch.path + "/" + name)
            try add(manager, (0..<count).map { "\(name)\($0)" })
            #expect(manager.stop() == 0)
        }
        let files = try DataFiles.all(data).filter { $0.key != "journal/lock" }
        func backup(_ name: String) throws -> String {
            let folder = scratch.path + "/" + name + "/backups"
            return folder + "/" + (try #require(try DataFiles.names(folder, prefix: "manager_state-").last))
        }
        let beyond = try verb("restore", "--backup", try backup("long"))
        #expect(beyond.status == 2)
        #expect(
            beyond.errors.contains("'manager import") && beyond.errors.contains("ends at seq 4"), "\(beyond.errors)")
        let foreign = try verb("restore", "--backup", try backup("other"))
        #expect(foreign.status == 1)
        #expect(foreign.errors.contains("is of another journal"), "\(foreign.errors)")
        var bytes = try readWholeFile(try backup("data"), on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 1
        let damaged = scratch.path + "/damaged.json.gz"
        try writeAll(bytes, to: try LocalFileSystem().open(damaged, .replace), at: 0)
        #expect(try verb("restore", "--backup", damaged).status == 2)
        #expect(try verb("restore", "--backup", "nowhere").status == 1)
        #expect(try DataFiles.all(data).filter { $0.key != "journal/lock" } == files)
    }

    /// 10,500 tasks that were cancelled, and the seq before: a restore of two commands.
    private func many() throws -> Int {
        let tasks = (0..<10_500).map { #"{"task_id":"t\#($0)","phase":"p","config":{"x":\#($0)}}"# }
        #expect(try verb("submit", "-", input: tasks.joined(separator: "\n")).status == 0)
        let seq = try #require(try verb("status", "--json").object()["seq"] as? Int)
        #expect(try verb("cancel", "--phase", "p", "--yes").status == 0)
        return seq
    }

    @Test("ended by kill -9 in the middle, it is run again and brings the rest")
    func killed() throws {
        let seq = try many()
        let (then, now) = (try IndependentFold(directory: data, upTo: seq), try IndependentFold(directory: data))
        var cutAt: [Int] = []
        for _ in 0..<3 {
            let process = Process()
            process.executableURL = RunningManager.binary
            process.arguments = ["restore", "--data-dir", data, "--seq", "\(seq)"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            let journal = data + "/journal/" + (try #require(try DataFiles.names(data + "/journal", prefix: "0").last))
            let size = try LocalFileSystem().metadata(journal)?.sizeBytes ?? 0
            _ = try eventuallyBlocking {
                try !process.isRunning || (LocalFileSystem().metadata(journal)?.sizeBytes ?? 0) > size + 100_000
            }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            cutAt.append(try IndependentFold(directory: data).tasks.values.count { $0.status == "pending" })
        }
        #expect(cutAt.allSatisfy { [0, 9_999, 10_500].contains($0) }, "whole commands: \(cutAt)")
        let run = try verb("restore", "--seq", "\(seq)")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try IndependentFold(directory: data).tasks == then.restored(over: now))
        #expect(try verb("verify").status == 0)
    }

    @Test("a power loss after each command leaves what the same restore finishes")
    func cutAfterEachCommand() throws {
        let seq = try many()
        let before = try IndependentFold(directory: data)
        let then = try IndependentFold(directory: data, upTo: seq)
        #expect(try verb("restore", "--seq", "\(seq)").status == 0)
        let name = try #require(try DataFiles.names(data + "/journal", prefix: "0").last)
        let lines = String(
            decoding: try readWholeFile(data + "/journal/" + name, on: LocalFileSystem()), as: UTF8.self
        ).split(separator: "\n", omittingEmptySubsequences: true)
        let ends = lines.indices.filter { index in
            !lines[index].contains("\"more\":true") && lines[index].hasPrefix("{\"seq\":")
                && (Int(lines[index].dropFirst(7).prefix { $0.isNumber }) ?? 0) >= before.last
        }
        #expect(ends.count == 3, "the event before, and two commands")
        for end in ends {
            let copy = scratch.path + "/copy\(end)"
            try FileManager.default.createDirectory(atPath: copy + "/journal", withIntermediateDirectories: true)
            let text = lines[...end].joined(separator: "\n") + "\n"
            try writeAll(Array(text.utf8), to: try LocalFileSystem().open(copy + "/journal/" + name, .createNew), at: 0)
            let run = try VerbRun(["restore", "--seq", "\(seq)", "--data-dir", copy])
            #expect(run.status == 0, "\(run.errors)")
            #expect(try IndependentFold(directory: copy).tasks == then.restored(over: before))
        }
    }
}
