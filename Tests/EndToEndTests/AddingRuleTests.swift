import Foundation
import TestSupport
import Testing

/// The ways by which a task object comes in.
enum Way: String, CaseIterable, Sendable {
    case http, tcp, submit, submitRunning
}

@Suite("What may be said of a task, the same by every way", .serialized)
struct AddingRuleTests {
    private let folder: DataFolder

    init() throws { folder = try DataFolder() }

    /// Adds one task with these members more, by a way; what it said, and whether it was taken.
    private func add(
        _ way: Way, _ manager: RunningManager?, _ members: String, config: String = #"{"x":1}"#
    ) throws -> (isTaken: Bool, text: String) {
        let id = "t" + UUID().uuidString.prefix(8)
        let task = #"{"task_id":"\#(id)","phase":"p","config":\#(config)\#(members.isEmpty ? "" : ",")\#(members)}"#
        switch way {
        case .http:
            let answer = try HTTPCaller.call(try #require(manager).http, "POST", "/tasks", task)
            #expect(answer.status == 200 || answer.status == 400, "\(answer)")
            return (answer.status == 200, answer.body)
        case .tcp:
            let client = try LineClient(port: try #require(manager).workers)
            let answer = try #require(client.ask(#"{"type":"add","tasks":[\#(task)]}"#))
            return (answer.contains(#""added":1"#), answer)
        case .submit, .submitRunning:
            let run = try VerbRun(["submit", "-", "--data-dir", folder.path], input: task)
            #expect(run.status == 0 || run.status == 1)
            return (run.status == 0, run.errors)
        }
    }

    private func manager(_ way: Way) throws -> RunningManager? {
        way == .submit ? nil : try RunningManager(folder.path)
    }

    @Test(
        "a member that is a slip of the pen is refused with the one that was meant; others are passed over",
        arguments: Way.allCases)
    func members(way: Way) throws {
        let manager = try manager(way)
        for (wrong, meant) in [
            (#""priorty":5"#, "priority"), (#""Max_Retries":1"#, "max_retries"), (#""timeout":5"#, "timeout_s"),
            (#""output_dri":"a""#, "output_dir"), (#""kye":["x"]"#, "key"), (#""sed":1"#, "seed"),
        ] {
            let answer = try add(way, manager, wrong)
            #expect(!answer.isTaken && answer.text.contains("'\(meant)'"), "\(wrong): \(answer.text)")
        }
        for fine in [
            #""note":"x","team":[1],"base":2,"gpu":0"#, #""status":"pending","attempt":0,"assigned_to":null"#,
            #""seed":null,"output_dirs":null,"priority":null,"max_retries":null,"after":null,"env":null"#,
        ] {
            let answer = try add(way, manager, fine)
            #expect(answer.isTaken, "\(fine): \(answer.text)")
        }
        if let manager { #expect(manager.stop() == 0) }
    }

    @Test(
        "output directories that the manager keeps for itself are refused, named; the top is not",
        arguments: Way.allCases)
    func directories(way: Way) throws {
        let manager = try manager(way)
        for name in [
            "journal", "./journal", "journal/x", "backups", "checkpoints", ".outbox", ".gpu_locks/a",
            "manager_state.json", "manager_state.json.tmp", "archive-20261124T101112Z/r", "final_results.csv",
            "r/final_results.csv", "../x", "/tmp", "",
        ] {
            let answer = try add(way, manager, #""output_dirs":["fine","\#(name)"]"#)
            #expect(!answer.isTaken && answer.text.contains("output directory '\(name)'"), "\(name): \(answer.text)")
        }
        for name in [".", "archive-old", "runs/journal", "results_p/backups"] {
            #expect(try add(way, manager, #""output_dirs":["\#(name)"]"#).isTaken, "\(name)")
        }
        if let manager { #expect(manager.stop() == 0) }
    }

    @Test("a key must name columns that the task has", arguments: Way.allCases)
    func key(way: Way) throws {
        let manager = try manager(way)
        let answer = try add(way, manager, #""key":["x","width"]"#)
        #expect(!answer.isTaken && answer.text.contains("key names 'width'"), "\(answer.text)")
        #expect(try !add(way, manager, #""key":[]"#).isTaken)
        #expect(try add(way, manager, #""key":["phase","seed","x"]"#).isTaken)
        if let manager { #expect(manager.stop() == 0) }
    }

    @Test("results at the top: one row, in one file")
    func top() throws {
        let manager = try RunningManager(folder.path)
        let task = #"{"task_id":"a","phase":"p","config":{},"output_dirs":["."]}"#
        _ = try HTTPCaller.call(manager.http, "POST", "/tasks", task)
        _ = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#)
        let body = #"{"worker":"w","attempt":1,"result":{"y":1}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks/a/complete", body).status == 200)
        #expect(manager.stop() == 0)
        let text = try String(contentsOfFile: folder.path + "/final_results.csv", encoding: .utf8)
        #expect(text == "task_id,attempt,phase,seed,y\na,1,p,42,1\n")
    }

    @Test("the tasks of one manager can be given to another")
    func fromAnother() throws {
        let sweep =
            "p:\n  priority: 2\n  after: [q]\n  combinations:\n    - a: [1, 2]\nq:\n  combinations:\n    - a: [1]\n"
        try folder.write(sweep, to: "sweep.yaml")
        #expect(try VerbRun(["submit", folder.path + "/sweep.yaml", "--data-dir", folder.path]).status == 0)
        let lines = try VerbRun(["tasks", "--json", "--data-dir", folder.path]).output
        let other = try DataFolder()
        let run = try VerbRun(["submit", "-", "--data-dir", other.path], input: lines)
        #expect(run.output == "added 3 tasks, 0 stood already\n", "\(run.errors)")
        let task = try #require(try other.tasks()["p_0_42"])
        #expect(task["priority"] as? Int == 2 && task["after"] as? [String] == ["q"])
    }
}
