import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@Suite("verify, repair and serve --degraded by the real binary", .serialized)
struct RepairVerbTests {
    private let scratch: TemporaryDirectory
    private var folder: String { scratch.path }
    private var segment: String { folder + "/journal/00000000000000000001.jsonl" }

    init() throws {
        scratch = try TemporaryDirectory()
        func added(_ id: String) -> Event {
            .added(
                id: id,
                spec: TaskSpec(
                    id: id, phase: "p", config: Array("{}".utf8), seed: Array("42".utf8), outputDirectories: ["r"]),
                counter: nil)
        }
        try HandWrittenJournal.write(
            [
                .init(secondsAgo: 90, [added("a"), added("b"), added("c")]),
                .init(secondsAgo: 80, [.assigned(.init(task: "a", worker: "w", attempt: 1))]),
                .init(secondsAgo: 70, [.assigned(.init(task: "b", worker: "w", attempt: 1))]),
                .init(
                    secondsAgo: 60,
                    [
                        .failed(.init(task: "a", worker: "w", attempt: 1, error: "x")),
                        .requeued(task: "a", reason: .retry),
                    ]),
                .init(secondsAgo: 50, [.completed(.init(task: "b", worker: "w", attempt: 1))]),
            ], to: folder)
        // A later run of the manager says that these were durable: what is broken then is no unfinished write.
        let manager = try RunningManager(folder)
        #expect(manager.stop() == 0)
        try LocalFileSystem().remove(folder + "/manager_state.json")
        for name in try DataFiles.names(folder + "/backups", prefix: "manager_state") {
            try LocalFileSystem().remove(folder + "/backups/" + name)
        }
    }

    private func damage(seq: Int) throws {
        var lines = try readWholeFile(segment, on: LocalFileSystem()).split(separator: 10).map { Array($0) }
        let at = lines[seq].count / 2
        lines[seq][at] ^= 1
        try writeAll(
            Array(lines.joined(separator: [10])) + [10], to: try LocalFileSystem().open(segment, .replace), at: 0)
    }

    @Test(
        "a task whose next event does not fit is held; verify names the known gap and is content; all readers pass it")
    func repair() throws {
        try damage(seq: 4)  // the assignment of a: its failure fits no pending task
        #expect(try VerbRun(["verify", "--data-dir", folder]).status == 2)
        let refused = try VerbRun([
            "serve", "--data-dir", folder, "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0",
        ])
        #expect(refused.status == 2)
        #expect(refused.errors.contains("manager repair"))
        let before = try DataFiles.all(folder)
        let dry = try VerbRun(["repair", "--data-dir", folder, "--dry-run", "--json"]).object()
        #expect(dry["held"] as? [String] == ["a"])
        var after = try DataFiles.all(folder)
        after["journal/lock"] = before["journal/lock"]
        #expect(after == before, "a dry run writes nothing but the lock's line")
        let done = try VerbRun(["repair", "--data-dir", folder])
        #expect(done.status == 0, "\(done.output)\(done.errors)")
        #expect(done.output.contains("held: a"))
        let verified = try VerbRun(["verify", "--json", "--data-dir", folder])
        #expect(verified.status == 0, "\(verified.output)")
        let damage = try #require(try verified.object()["damage"] as? [[String: Any]])
        #expect(damage.map { $0["kind"] as? String } == ["known gap"])
        #expect(damage.first?["seq"] as? Int == 4)
        let task = try VerbRun(["show", "a", "--json", "--data-dir", folder]).object()
        #expect(task["status"] as? String == "held")
        #expect(task["reason"] as? String == "journal_gap")
        #expect(try VerbRun(["show", "b", "--json", "--data-dir", folder]).object()["status"] as? String == "complete")
        for verb in [["tail"], ["history", "a"], ["replay"], ["replay", "--seq", "4"], ["status"]] {
            #expect(try VerbRun(verb + ["--data-dir", folder]).status == 0, "\(verb)")
        }
        #expect(try VerbRun(["verify", "--state", "--data-dir", folder]).status == 0)
        #expect(try VerbRun(["repair", "--data-dir", folder]).output.contains("nothing to repair"))
        let manager = try RunningManager(folder)
        #expect(manager.stop() == 0)
        try LocalFileSystem().remove(folder + "/manager_state.json")
        #expect(try VerbRun(["show", "a", "--json", "--data-dir", folder]).object()["status"] as? String == "held")
        #expect(try VerbRun(["verify", "--state", "--data-dir", folder]).status == 0)
    }

    @Test("a good snapshot behind the gap stands for what is missing, for good")
    func snapshotBehind() throws {
        let manager = try RunningManager(folder)
        #expect(manager.stop() == 0)
        let saved = try readWholeFile(folder + "/manager_state.json", on: LocalFileSystem())
        try damage(seq: 4)
        let done = try VerbRun(["repair", "--json", "--data-dir", folder]).object()
        #expect(done["held"] as? [String] == [])
        #expect((done["state"] as? String)?.hasSuffix("manager_state.json") == true)
        let state = try StateDecoder.state(saved)
        #expect(
            try VerbRun(["replay", "--seq", "\(state.position)", "--data-dir", folder]).output.utf8.elementsEqual(saved)
        )
        #expect(try VerbRun(["verify", "--state", "--data-dir", folder]).status == 0)
    }

    @Test("a state that is not the journal's is named, with the task and the event where they part")
    func stateCompared() throws {
        let manager = try RunningManager(folder)
        #expect(manager.stop() == 0)
        let path = folder + "/manager_state.json"
        var state = try StateDecoder.state(try readWholeFile(path, on: LocalFileSystem()))
        // A fold that lost the failure of a.
        var other = ManagerState()
        try LogReader(JournalDirectory(folder + "/journal", on: LocalFileSystem())).forEach {
            line throws(JournalError) in
            do throws(EventError) {
                let event = try EventView(line.body)
                if event.kind == .failed || event.kind == .requeued { return true }
                other.apply(event, at: line.position, time: line.time, crc: line.crc)
            } catch { return false }
            return true
        }
        #expect(other.position == state.position)
        state = other
        try writeAll(StateEncoder.bytes(state), to: try LocalFileSystem().open(path, .replace), at: 0)
        let checked = try VerbRun(["verify", "--state", "--json", "--data-dir", folder])
        #expect(checked.status == 2)
        let states = try #require(try checked.object()["states"] as? [[String: Any]])
        let snapshot = try #require(states.first { $0["file"] as? String == "manager_state.json" })
        #expect(snapshot["first_seq"] as? Int == 6)
        #expect((snapshot["tasks"] as? [[String: Any]])?.map { $0["task"] as? String } == ["a"])
    }

    @Test("--degraded answers reads of a damaged journal and refuses the rest")
    func degraded() throws {
        try damage(seq: 4)
        let manager = try RunningManager(folder, ["--degraded"])
        let status = try HTTPCaller.call(manager.http, "GET", "/status")
        #expect(status.body.contains("\"total\":"))
        let claim = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#)
        #expect(claim.status == 503)
        #expect(claim.body.contains("--degraded"))
        #expect(manager.stop() == 0)
    }

    @Test("an anchor that holds is said so; a wrong one is exit 2 with the reason")
    func anchors() throws {
        let verified = try VerbRun(["verify", "--json", "--data-dir", folder]).object()
        let head = "\(try #require(verified["head_sha256"] as? String))@\(try #require(verified["last_seq"] as? Int))"
        let good = try VerbRun(["verify", "--anchor", head, "--data-dir", folder])
        #expect(good.status == 0)
        #expect(good.output.contains("holds"))
        let wrong = try VerbRun(["verify", "--anchor", String(repeating: "a", count: 64) + "@3", "--data-dir", folder])
        #expect(wrong.status == 2)
        #expect(wrong.output.contains("was changed"))
        #expect(try VerbRun(["verify", "--anchor", "x", "--data-dir", folder]).status == 64)
    }
}
