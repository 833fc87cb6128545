import EventLog
import Foundation
import TestSupport
import Testing

@Suite("A Python manager's state is taken over")
struct ImportTests {
    private let scratch: TemporaryDirectory
    private let fixture = DataFiles.fixtures + "/python_state/manager_state.json"
    private let vienna = ["TZ": "CET-1CEST,M3.5.0,M10.5.0/3"]
    private var data: String { scratch.path + "/data" }
    private var stateFile: String { data + "/manager_state.json" }

    init() throws {
        scratch = try TemporaryDirectory()
        try LocalFileSystem().createDirectories(scratch.path + "/data")
    }

    private func put(_ text: String) throws {
        try text.write(toFile: stateFile, atomically: true, encoding: .utf8)
    }

    /// Checks the new state against the old file: what the contract names, task by task, in order.
    private func expectAgreement(_ new: [String: Any]) throws {
        let old = try #require(try DataFiles.object(fixture)["tasks"] as? [String: [String: Any]])
        let tasks = try #require(new["tasks"] as? [String: [String: Any]])
        #expect(tasks.count == 240)
        // The fixture's moments lie in winter: one hour before UTC.
        let utc = DateFormatter()
        utc.timeZone = TimeZone(secondsFromGMT: 0)
        utc.locale = Locale(identifier: "en_US_POSIX")
        utc.dateFormat = "yyyy-MM-dd'T'HH:mm:ss"
        for (id, before) in old {
            let after = try #require(tasks[id], "\(id) is missing")
            for key in ["status", "assigned_to", "retry_count", "phase", "seed", "output_dir"] {
                #expect("\(before[key] ?? "")" == "\(after[key] ?? "")", "\(id): \(key)")
            }
            // A completion has no error any more.
            if before["status"] as? String != "complete" {
                #expect("\(before["last_error"] ?? "")" == "\(after["last_error"] ?? "")", "\(id)")
            }
            let config = try #require(before["config"] as? NSDictionary)
            #expect(config == after["config"] as? NSDictionary)
            guard let text = before["assigned_at"] as? String else {
                #expect(after["assigned_at"] is NSNull, "\(id)")
                continue
            }
            let moment = try #require(utc.date(from: String(text.prefix(19)))).addingTimeInterval(-3600)
            let fraction = text.count > 19 ? String(text.dropFirst(19)) : ".000000"
            #expect(after["assigned_at"] as? String == utc.string(from: moment) + fraction + "Z", "\(id)")
        }
    }

    @Test("serve imports it beside an empty journal, keeps the file, and goes on from there")
    func serve() throws {
        try FileManager.default.copyItem(atPath: fixture, toPath: stateFile)
        let old = try readWholeFile(fixture, on: LocalFileSystem())
        let manager = try RunningManager(data, ["--stale-after", "9999d"], environment: vienna)
        #expect(manager.stop() == 0)
        try expectAgreement(try DataFiles.object(stateFile))
        let copies = try DataFiles.names(data, prefix: "manager_state.json.imported-")
        #expect(copies.count == 1)
        #expect(try readWholeFile(data + "/" + (copies.first ?? ""), on: LocalFileSystem()) == old)
        let first = try VerbRun(["tail", "--from", "1", "-n", "100000", "--json", "--data-dir", data]).output
            .split(separator: "\n")
        #expect(first.first?.contains(#""type":"imported","note":true"#) == true)
        #expect(first.dropFirst().first?.contains(#""task":"exp1_vary_width_0_42""#) == true)
        #expect(first.contains { $0.contains(#""counter":239"#) })
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
        // A start later finds a state of its own and imports nothing again.
        let again = try RunningManager(data, ["--stale-after", "9999d"])
        #expect(again.stop() == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", data]).object()["total"] as? Int == 240)
        #expect(try DataFiles.names(data, prefix: "manager_state.json.imported-").count == 1)
    }

    @Test("the verb imports a file from elsewhere, and refuses what stands in the way")
    func verb() throws {
        let run = try VerbRun(["import", fixture, "--data-dir", data, "--json"], environment: vienna)
        #expect(run.status == 0, "\(run.errors)")
        #expect(try run.object()["complete"] as? Int == 48)
        try expectAgreement(try DataFiles.object(stateFile))
        #expect(
            try VerbRun(["replay", "--data-dir", data]).output == String(contentsOfFile: stateFile, encoding: .utf8))

        // When what it brought ended is not known: no time is made up for it.
        let workers = try #require(
            try JSONSerialization.jsonObject(
                with: Data(try VerbRun(["workers", "--json", "--data-dir", data]).output.utf8)) as? [[String: Any]])
        #expect(workers.contains { $0["completed"] as? Int ?? 0 > 0 })
        #expect(workers.allSatisfy { $0["busy_s"] as? Double == 0 && $0["mean_s"] is NSNull && $0["p95_s"] is NSNull })
        #expect(try VerbRun(["status", "--json", "--data-dir", data]).object()["rate_per_s"] as? Double == 0)

        let again = try VerbRun(["import", fixture, "--data-dir", data])
        #expect(again.status == 0, "\(again.errors)")
        #expect(again.output.hasPrefix("Imported 0 tasks; "), "\(again.output)")
        let own = try VerbRun(["import", stateFile, "--data-dir", scratch.path + "/other", "--json"])
        #expect(own.status == 0, "\(own.errors)")
        #expect(
            try own.object()["added"] as? Int == VerbRun(["status", "--json", "--data-dir", data]).object()["total"]
                as? Int)

        let manager = try RunningManager(data, ["--stale-after", "9999d"])
        let held = try VerbRun(["import", fixture, "--data-dir", data])
        #expect(held.status == 1)
        #expect(held.errors.contains("pid \(manager.process.processIdentifier) on "), "\(held.errors)")
        #expect(held.errors.contains(manager.http))
        #expect(manager.stop() == 0)
    }

    @Test(
        "a broken file gets a sentence with task and field, exit 1, and nothing is written",
        arguments: [
            (
                #"{"tasks":{"a":{"phase":"p","status":"assigned","assigned_to":"g","assigned_at":"2025-13-01T00:00:00"}}}"#,
                ["task a", "assigned_at", "2025-13-01"]
            ),
            (#"{"tasks":{"a":{"phase":"p","status":"done"}}}"#, ["task a", "status", "done"]),
            (#"{"tasks":{"a":{"status":"pending"}}}"#, ["task a", "phase"]),
            (#"{"tasks":{"a":{"phase":"p","status":"pending","config":{"x":NaN}}}}"#, ["task a", "config", "byte"]),
            (#"{"tasks":{"a":{"phase":"p","status":"pending","retry_count":-1}}}"#, ["task a", "retry_count", "-1"]),
            (
                #"{"tasks":{"a":{"phase":"p","status":"pending","output_dir":"/etc"}}}"#,
                ["task a", "output_dir", "/etc"]
            ),
            (#"{"tasks":{"a":{"phase":"p","status":"assigned","assigned_to":"g"}}}"#, ["task a", "assigned_at"]),
            (#"{"tasks":{"a":{"phase":"p","stat"#, ["byte"]),
            ("{}", ["tasks"]),
        ])
    func broken(text: String, words: [String]) throws {
        try put(text)
        for verb in [["serve", "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0"], ["import", stateFile]] {
            let run = try VerbRun(verb + ["--data-dir", data])
            #expect(run.status == 1, "\(run.errors)")
            for word in words { #expect(run.errors.contains(word), "\(word): \(run.errors)") }
            #expect(try LocalFileSystem().list(data) == ["manager_state.json"])
            #expect(try String(contentsOfFile: stateFile, encoding: .utf8) == text)
        }
    }

    @Test("a state file of ours without its journal is refused with exit 2 and every way out")
    func ownWithoutJournal() throws {
        try put(#"{"tasks":{},"assigned_tasks":{},"more":{}, "journal": {"seq": 41, "time": null, "crc": "17f089f4"}}"#)
        let run = try VerbRun(["serve", "--data-dir", data, "--listen", "127.0.0.1:0"])
        #expect(run.status == 2)
        for word in ["import", "reset", "--data-dir"] { #expect(run.errors.contains(word), "\(run.errors)") }
    }

    @Test("an old file beside a journal of its own is refused, and left")
    func foreignBesideJournal() throws {
        let manager = try RunningManager(data)
        #expect(manager.stop() == 0)
        try put(#"{"tasks":{"a":{"phase":"p","status":"pending","config":{}}}}"#)
        let run = try VerbRun([
            "serve", "--data-dir", data, "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0",
        ])
        #expect(run.status == 1)
        #expect(run.errors.contains("manager reset"))
        #expect(try String(contentsOfFile: stateFile, encoding: .utf8).contains(#""a""#))
    }

    @Test("of a local time that comes twice the first counts; one that never came is meant by the offset before it")
    func clockChanges() throws {
        func task(_ time: String) -> String {
            #"{"phase":"p","config":{},"status":"assigned","assigned_to":"g","assigned_at":"\#(time)"}"#
        }
        try put(
            #"{"tasks":{"twice":\#(task("2025-10-26T02:30:00")),"never":\#(task("2025-03-30T02:30:00")),"summer":\#(task("2025-07-01T12:00:00.5"))}}"#
        )
        #expect(try VerbRun(["import", stateFile, "--data-dir", data], environment: vienna).status == 0)
        let tasks = try #require(try DataFiles.object(stateFile)["tasks"] as? [String: [String: Any]])
        #expect(tasks["twice"]?["assigned_at"] as? String == "2025-10-26T00:30:00.000000Z")
        #expect(tasks["never"]?["assigned_at"] as? String == "2025-03-30T01:30:00.000000Z")
        #expect(tasks["summer"]?["assigned_at"] as? String == "2025-07-01T10:00:00.500000Z")
    }

    @Test("a sweep file adds only the points that the old manager did not have, and counts on")
    func sweepAfterImport() throws {
        func task(_ x: Int, _ config: String) -> String {
            #""p_\#(x)_42":{"task_id":"p_\#(x)_42","phase":"p","config":\#(config),"seed":42,"status":"pending"}"#
        }
        try put(
            #"{"tasks":{\#(task(0, #"{"seed": 42, "x": 1}"#)),\#(task(1, #"{"x": 2.0, "seed": 42}"#))},"assigned_tasks":{}}"#
        )
        let sweep = scratch.path + "/sweep.yaml"
        try "p:\n  combinations:\n    - seed: [42]\n    - x: [1, 2, 3]\n".write(
            toFile: sweep, atomically: true, encoding: .utf8)
        let manager = try RunningManager(data, ["--config", sweep])
        #expect(manager.stop() == 0)
        let tasks = try #require(try DataFiles.object(stateFile)["tasks"] as? [String: Any])
        #expect(Set(tasks.keys) == ["p_0_42", "p_1_42", "p_2_42"])
    }
}
