import EventLog
import Foundation
import TestSupport
import Testing

/// `export`, `import` and a plain copy, against the real binary.
@Suite("Data directories made from others", .serialized)
struct TransferVerbTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst())
    }

    private func work(_ manager: RunningManager, _ tasks: Range<Int>, completed: Int) throws {
        let client = try LineClient(port: manager.workers)
        for number in tasks {
            let task = #"{"task_id":"t\#(number)","phase":"p","config":{"x":\#(number)}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("\"added\":1") == true)
            guard number < completed else { continue }
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let done = #"{"task_id":"t\#(number)","attempt":1,"result":{"y":1}}"#
            #expect(client.ask(#"{"type":"complete","worker_id":"w","items":[\#(done)]}"#)?.contains("true") == true)
        }
    }

    @Test("an export of a moment, while the manager runs, is a directory that goes on from there")
    func export() throws {
        let manager = try RunningManager(data)
        try work(manager, 0..<10, completed: 5)
        let seq = try #require(try verb("status", "--json").object()["seq"] as? Int)
        try work(manager, 10..<20, completed: 0)
        #expect(try VerbRun(["cancel", "t7", "t12", "--data-dir", data]).status == 0)
        let target = scratch.path + "/then"
        let run = try verb("export", "--seq", "\(seq)", target, "--json")
        #expect(run.status == 0, "\(run.errors)")
        #expect(try run.object()["tasks"] as? Int == 10)
        #expect(try verb("export", target).status == 1)
        #expect(manager.stop() == 0)
        let (then, there) = (try IndependentFold(directory: data, upTo: seq), try IndependentFold(directory: target))
        #expect(there.tasks == then.tasks)
        let first = try VerbRun(["tail", "--from", "1", "-n", "1000", "--json", "--data-dir", target]).output
        #expect(first.hasPrefix("{\"seq\":1,") && first.contains(#""type":"imported","note":true"#))
        #expect(try VerbRun(["verify", "--data-dir", target]).status == 0)
        // How long they ran there is not known here, and no verb makes it up.
        let workers = try VerbRun(["workers", "--json", "--data-dir", target]).output
        #expect(workers.contains("\"completed\":5,") && workers.contains("\"busy_s\":0,"), "\(workers)")
        #expect(workers.contains("\"mean_s\":null,\"p50_s\":null,\"p95_s\":null"), "\(workers)")
        let history = try VerbRun(["history", "t1", "--data-dir", target]).output
        #expect(history.contains("before the import") && history.contains("running 0 ms;"), "\(history)")
        #expect(history.contains("how long 1 ran that ended before the import is not known"), "\(history)")
        let why = try VerbRun(["why", "t1", "--data-dir", target]).output
        #expect(why.contains("attempt 1 on w completed before it was imported"), "\(why)")
        let show = try VerbRun(["show", "t1", "--data-dir", target]).output
        #expect(show.contains("before the import at 20") && !show.contains("duration"), "\(show)")
        let again = try RunningManager(target)
        try work(again, 30..<31, completed: 0)
        #expect(again.stop() == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", target]).object()["total"] as? Int == 11)
        #expect(try DataFiles.names(scratch.path, prefix: "then.").isEmpty)
    }

    @Test("another directory's tasks come in; ids that stand are compared, stay, and are told")
    func importDirectory() throws {
        let other = scratch.path + "/other"
        for (path, completed) in [(data, 2), (other, 4)] {
            let manager = try RunningManager(path)
            try work(manager, 0..<(path == data ? 3 : 6), completed: completed)
            #expect(manager.stop() == 0)
        }
        let conflicting = #"{"task_id":"t9","phase":"p","config":{"x":9}}"#
        #expect(try VerbRun(["submit", "-", "--data-dir", data], input: conflicting).status == 0)
        #expect(
            try VerbRun(["submit", "-", "--data-dir", other], input: conflicting.replacing("\"x\":9", with: "\"x\":8"))
                .status == 0)
        let before = try DataFiles.all(other)
        let manager = try RunningManager(data)
        let held = try verb("import", other)
        #expect(held.status == 1 && held.errors.contains("pid \(manager.process.processIdentifier)"), "\(held.errors)")
        #expect(manager.stop() == 0)
        let run = try verb("import", other, "--json")
        #expect(run.status == 0, "\(run.errors)")
        let report = try run.object()
        #expect(report["added"] as? Int == 3 && report["existing"] as? Int == 2, "\(report)")
        #expect((report["differing"] as? [[String: Any]])?.first?["task"] as? String == "t2")
        #expect((report["refused"] as? [String])?.first?.contains("t9") == true)
        #expect(try DataFiles.all(other) == before)
        let fold = try IndependentFold(directory: data)
        #expect(fold.tasks["t2"]?.status == "pending" && fold.tasks["t3"]?.status == "complete")
        #expect(fold.tasks["t5"]?.status == "pending")
        #expect(try verb("import", data).status == 1)
        #expect(try verb("verify").status == 0)
    }

    @Test("JSON lines and a backup are imported; a broken line is named and nothing is written")
    func importFiles() throws {
        let manager = try RunningManager(data)
        try work(manager, 0..<4, completed: 2)
        #expect(manager.stop() == 0)
        let lines = scratch.path + "/tasks.jsonl"
        let good = #"{"task_id":"a","phase":"q","config":{"z":1}}"#
        try writeAll(Array("\(good)\n{\"task_id\":7}\n".utf8), to: try LocalFileSystem().open(lines, .replace), at: 0)
        let files = try DataFiles.all(data)
        let broken = try verb("import", lines)
        #expect(broken.status == 1 && broken.errors.contains("line 2"), "\(broken.errors)")
        #expect(try DataFiles.all(data) == files)
        try writeAll(Array("\(good)\n".utf8), to: try LocalFileSystem().open(lines, .replace), at: 0)
        #expect(try verb("import", lines, "--json").object()["added"] as? Int == 1)
        #expect(try verb("import", lines, "--json").object()["existing"] as? Int == 1)
        let backup = try #require(try DataFiles.names(data + "/backups", prefix: "manager_state-").first)
        let new = try VerbRun(["import", data + "/backups/" + backup, "--data-dir", scratch.path + "/new", "--json"])
        #expect(new.status == 0, "\(new.errors)")
        #expect(try new.object()["added"] as? Int == 4)
        #expect(try IndependentFold(directory: scratch.path + "/new").tasks["t1"]?.status == "complete")
    }

    @Test("a plain cp -r while the manager works gives a good directory with all that was acknowledged before")
    func plainCopy() throws {
        let manager = try RunningManager(data, ["--snapshot-every", "1h"])
        let (port, stop) = (manager.workers, Acknowledged())
        let thread = Thread {
            do {
                let client = try LineClient(port: port)
                var number = 0
                while client.ask(#"{"type":"add","tasks":[{"task_id":"c\#(number)","phase":"p","config":{}}]}"#) != nil
                {
                    stop.add("c\(number)")
                    number += 1
                }
            } catch { Issue.record(error) }
        }
        thread.start()
        for round in 0..<5 {
            #expect(stop.wait(forMore: 30))
            let before = stop.all.added
            let copy = scratch.path + "/copy\(round)"
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/cp")
            process.arguments = ["-r", data, copy]
            try process.run()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            #expect(try VerbRun(["verify", "--data-dir", copy]).status == 0)
            let again = try RunningManager(copy)
            #expect(again.stop() == 0)
            let fold = try IndependentFold(directory: copy)
            #expect(before.isSubset(of: Set(fold.tasks.keys)), "round \(round)")
        }
        manager.kill()
    }
}
