import EventLog
import Foundation
import TestSupport
import Testing

/// Whether a verb finds a manager that runs.
enum Side: String, CaseIterable, Sendable {
    case running, directory
}

@Suite("Verbs that act", .serialized)
struct ActingVerbTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    /// The manager, where one is to run.
    private func manager(_ side: Side) throws -> RunningManager? {
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        return side == .running ? try RunningManager(data) : nil
    }

    private func verb(_ arguments: String..., input: String = "", environment: [String: String] = [:]) throws
        -> VerbRun
    {
        try VerbRun(arguments + ["--data-dir", data], environment: environment, input: input)
    }

    private func write(_ name: String, _ text: String) throws -> String {
        let path = scratch.path + "/" + name
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    private func statuses() throws -> [String: String] {
        var found: [String: String] = [:]
        for line in try verb("tasks", "--json").output.split(separator: "\n") {
            let task = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            found[try #require(task["task_id"] as? String)] = task["status"] as? String
        }
        return found
    }

    @Test(
        "submit adds a sweep's points once; edits add and extend, what left is told and kept", arguments: Side.allCases)
    func sweeps(side: Side) throws {
        let manager = try manager(side)
        let sweep = try write("s.yaml", "p:\n  combinations:\n    - a: [1, 2]\n    - seed: [7, 8]\n")
        let first = try verb("submit", sweep, "--json")
        #expect(first.output == "{\"added\":4,\"existing\":0,\"extended\":0,\"gone\":0}\n", "\(first.errors)")
        #expect(try verb("submit", sweep).output == "added 0 tasks, 4 stood already\n")
        _ = try write(
            "s.yaml",
            "defaults: {output_dir: \"elsewhere\"}\np:\n  combinations:\n    - a: [2, 3]\n    - seed: [7, 8]\n")
        let edited = try verb("submit", sweep, "--json")
        #expect(
            edited.output
                == "{\"added\":2,\"existing\":2,\"extended\":2,\"gone\":2,\"gone_tasks\":[\"p_0_7\",\"p_1_8\"]}\n",
            "\(edited.errors)")
        let kept = "2 tasks of these phases are no longer in the file: kept (p_0_7, p_1_8)"
        #expect(try verb("submit", sweep).output.contains(kept))
        #expect(
            Set(try statuses().keys) == ["p_0_7", "p_1_8", "p_2_7", "p_3_8", "p_4_7", "p_5_8"])
        let task = try verb("show", "p_2_7", "--json").object()
        #expect(task["output_dirs"] as? [String] == ["results_p", "elsewhere"])
        if let manager { #expect(manager.stop() == 0) }
        #expect(try verb("verify").status == 0)
    }

    @Test(
        "a worker that failed in a row is released, one that did not needs none, and nobody is named",
        arguments: Side.allCases)
    func releasedWorker(side: Side) throws {
        let sweep = try write("s.yaml", "p:\n  combinations:\n    - a: [1]\n")
        #expect(try VerbRun(["run", sweep, "--data-dir", data, "--workers", "1", "--", "false"]).status == 1)
        let manager = try manager(side)
        let released = try verb("workers", "--release", "local0")
        #expect(released.output == "local0 gets tasks again\n", "\(released.errors)")
        #expect(try verb("workers", "--release", "local0").output == "local0 had no failures in a row: nothing to do\n")
        let nobody = try verb("workers", "--release", "nobody")
        #expect(nobody.status == 1 && nobody.errors.contains("nobody"), "\(nobody.errors)")
        if let manager { #expect(manager.stop() == 0) }
        #expect(try verb("tail", "--type", "worker_released", "--json").output.split(separator: "\n").count == 1)
    }

    @Test("a complete task's row is written to a new directory too", arguments: Side.allCases)
    func extendedComplete(side: Side) throws {
        let sweep = try write("s.yaml", "p:\n  combinations:\n    - a: [1]\n")
        let program = ["--", "sh", "-c", #"echo '{{"y":5}}' > "$MANAGER_RESULT_FILE""#]
        let run = try VerbRun(["run", sweep, "--data-dir", data] + program)
        #expect(run.status == 0, "\(run.errors)")
        let manager = try manager(side)
        _ = try write("s.yaml", "defaults: {output_dir: more}\np:\n  combinations:\n    - a: [1]\n")
        #expect(try verb("submit", sweep, "--json").output.contains("\"extended\":1"))
        let row = try String(contentsOfFile: data + "/more/final_results.csv", encoding: .utf8)
        #expect(row == "task_id,attempt,phase,seed,a,y\np_0_42,1,p,42,1,5\n")
        if let manager { #expect(manager.stop() == 0) }
        let all = try String(contentsOfFile: data + "/final_results.csv", encoding: .utf8)
        #expect(all.split(separator: "\n").count == 2)
    }

    @Test("power lost after a complete task was extended: the next start writes its row to the new directory, once")
    func extendedThenCrash() throws {
        let sweep = try write("s.yaml", "p:\n  combinations:\n    - a: [1]\n")
        let program = ["--", "sh", "-c", #"echo '{{"y":5}}' > "$MANAGER_RESULT_FILE""#]
        #expect(try VerbRun(["run", sweep, "--data-dir", data] + program).status == 0)
        let saved = try String(contentsOfFile: data + "/manager_state.json", encoding: .utf8)
        _ = try write("s.yaml", "defaults: {output_dir: more}\np:\n  combinations:\n    - a: [1]\n")
        #expect(try verb("submit", sweep).status == 0)
        // As if the row and the newer state had not reached the disk.
        try FileManager.default.removeItem(atPath: data + "/more")
        try saved.write(toFile: data + "/manager_state.json", atomically: true, encoding: .utf8)
        for _ in 0..<2 {
            let manager = try RunningManager(data)
            #expect(manager.stop() == 0)
            let row = try String(contentsOfFile: data + "/more/final_results.csv", encoding: .utf8)
            #expect(row == "task_id,attempt,phase,seed,a,y\np_0_42,1,p,42,1,5\n")
        }
    }

    @Test(
        "submit takes JSON lines from a file and from standard input, and all or nothing of them",
        arguments: Side.allCases)
    func lines(side: Side) throws {
        let manager = try manager(side)
        let two =
            "{\"task_id\":\"a\",\"phase\":\"p\",\"config\":{}}\n\n{\"task_id\":\"b\",\"phase\":\"p\",\"config\":{}}\n"
        #expect(try verb("submit", "-", input: two).output == "added 2 tasks, 0 stood already\n")
        #expect(try verb("submit", try write("t.jsonl", two)).output == "added 0 tasks, 2 stood already\n")
        let bad = try verb("submit", "-", input: "{\"task_id\":\"c\",\"phase\":\"p\",\"config\":{}}\n{\"task_id\":\n")
        #expect(bad.status == 1)
        #expect(bad.errors.contains("line 2"))
        let conflict = try verb("submit", "-", input: "{\"task_id\":\"a\",\"phase\":\"p\",\"config\":{\"x\":1}}")
        #expect(conflict.status == 1)
        #expect(conflict.errors.contains("task a stands already"))
        #expect(Set(try statuses().keys) == ["a", "b"])
        if let manager { #expect(manager.stop() == 0) }
    }

    @Test("submit takes one task from arguments, with its command; an unknown key in it is refused")
    func arguments() throws {
        let one = ["--phase", "p", "--config", #"{"lr":0.10,"name":"x y"}"#, "--seed", "1", "--data-dir", data]
        #expect(try VerbRun(["submit"] + one + ["--", "train", "{lr}"]).output == "added 1 task, 0 stood already\n")
        #expect(try VerbRun(["submit"] + one).output == "added 0 tasks, 1 stood already\n")
        let task = try verb("show", "p_0_1", "--json")
        #expect(task.output.contains(#""config":{"lr":0.10,"name":"x y","seed":1}"#), "\(task.output)")
        #expect(try task.object()["command"] as? [String] == ["train", "{lr}"])
        let refused = try VerbRun(["submit"] + one + ["--", "train", "{width}"])
        #expect(refused.status == 1)
        #expect(refused.errors.contains("width"))
        let named = try verb("submit", "--task-id", "mine", "--phase", "p", "--config", "{}", "--task-timeout", "2h")
        #expect(named.status == 0, "\(named.errors)")
        #expect(try verb("show", "mine", "--json").object()["timeout_s"] as? Int == 7200)
        #expect(try verb("submit").status == 64)
        #expect(try verb("submit", "--phase", "p", "--config", "[1]").status == 64)
    }

    @Test(
        "operators' verbs change one task, a list, a phase or a status; a dry run changes nothing",
        arguments: Side.allCases)
    func operations(side: Side) throws {
        let manager = try manager(side)
        let sweep = try write(
            "s.yaml", "p:\n  combinations:\n    - a: [1, 2, 3]\nq:\n  combinations:\n    - a: [1, 2]\n")
        _ = try verb("submit", sweep)
        #expect(try verb("hold", "p_0_42", "p_1_42").output == "hold: 2 tasks changed\n")
        #expect(try verb("hold", "p_0_42", "--json").output == "{\"count\":0}\n")
        #expect(try verb("release", "p_0_42").status == 0)
        let before = try verb("status", "--json").object()["seq"] as? Int
        #expect(try verb("cancel", "--phase", "q", "--dry-run").output == "cancel: 2 tasks would change\n")
        #expect(try verb("status", "--json").object()["seq"] as? Int == before)
        #expect(try verb("cancel", "--phase", "q", "--yes").output == "cancel: 2 tasks changed\n")
        #expect(try verb("retry", "q_3_42").status == 0)
        #expect(try verb("priority", "9", "p_2_42").status == 0)
        #expect(try verb("priority", "--priority=-1", "--phase", "q").output == "priority: 2 tasks changed\n")
        #expect(
            try statuses() == [
                "p_0_42": "pending", "p_1_42": "held", "p_2_42": "pending", "q_3_42": "pending",
                "q_4_42": "cancelled",
            ])
        #expect(try verb("show", "p_2_42", "--json").object()["priority"] as? Int == 9)
        for words in [["-5", "p_2_42"], ["p_2_42", "-6"], ["--priority", "-7", "p_2_42"]] {
            let changed = try VerbRun(["priority"] + words + ["--data-dir", data])
            #expect(changed.output == "priority: 1 task changed\n", "\(words): \(changed.errors)")
        }
        #expect(try verb("show", "p_2_42", "--json").object()["priority"] as? Int == -7)
        let refused = try verb("release", "q_4_42")
        #expect(refused.status == 1)
        #expect(refused.errors.contains("task q_4_42 is cancelled; release does not apply"))
        #expect(try verb("cancel", "nobody").status == 1)
        #expect(try verb("cancel", "--phase", "nothing").status == 1)
        #expect(try verb("cancel").status == 64)
        #expect(try verb("cancel", "p_0_42", "--phase", "p").status == 64)
        #expect(try verb("cancel", "--status", "odd").status == 64)
        let who = try verb("tail", "-n", "1", "--json")
        #expect(who.output.contains("\"actor\":\"cli:"))
        if let manager { #expect(manager.stop() == 0) }
        #expect(try verb("verify").status == 0)
    }

    @Test("on a directory the state file stands at the last event afterwards, and serve goes on from there")
    func directoryState() throws {
        _ = try manager(.directory)
        _ = try verb("submit", "-", input: #"{"task_id":"a","phase":"p","config":{}}"#)
        let saved = try String(contentsOfFile: data + "/manager_state.json", encoding: .utf8)
        #expect(try verb("replay").output == saved)
        let manager = try RunningManager(data)
        #expect(try HTTPCaller.call(manager.http, "GET", "/tasks/a").status == 200)
        #expect(manager.stop() == 0)
    }

    @Test("a manager that is not reachable, or holds the lock without an address, is named")
    func unreachable() throws {
        _ = try manager(.directory)
        let gone = try VerbRun(["cancel", "a", "--url", "http://127.0.0.1:9", "--data-dir", data])
        #expect(gone.status == 1)
        #expect(gone.errors.contains("cannot reach the manager at http://127.0.0.1:9"))
        #expect(try VerbRun(["cancel", "a", "--url", "nonsense", "--data-dir", data]).status == 64)
        // A lock that is held by somebody who names an address where nobody answers.
        try FileManager.default.createDirectory(atPath: data + "/journal", withIntermediateDirectories: true)
        let lock = try DirectoryLock(data + "/journal", on: LocalFileSystem())
        let line = #"{"pid":1,"host":"h","started":"2026-01-01T00:00:00.000000Z","http":"127.0.0.1:9","tcp":null}"#
        try lock.describe(line)
        let held = try VerbRun(["cancel", "a", "--data-dir", data])
        #expect(held.status == 1)
        #expect(held.errors.contains("does not answer at http://127.0.0.1:9"))
        lock.release()
        let nowhere = try VerbRun(["cancel", "a", "--data-dir", scratch.path + "/none"])
        #expect(nowhere.status == 1)
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/none"))
    }
}
