import EventLog
import Foundation
import TestSupport
import Testing

@Suite("Verbs that read tell what a start would refuse or do first", .serialized)
struct ReadingCheckTests {
    private let folder: DataFolder

    init() throws { folder = try DataFolder() }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun(arguments + ["--data-dir", folder.path])
    }

    private func submit(_ id: String) throws {
        let line = #"{"task_id":"\#(id)","phase":"p","config":{}}"#
        let run = try VerbRun(["submit", "-", "--data-dir", folder.path], input: line)
        try #require(run.status == 0, "\(run.errors)")
    }

    /// A journal that ends at seq 1 beside a state that knows seq 2; true: the state is a backup.
    private func losesEvents(asBackup: Bool) throws {
        try submit("a")
        let journal = try LocalFileSystem().list(folder.path + "/journal").filter { $0.hasSuffix(".jsonl") }
        let segment = folder.path + "/journal/" + (try #require(journal.first))
        let early = try Data(contentsOf: URL(fileURLWithPath: segment))
        let earlyState = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/manager_state.json"))
        try submit("b")
        if asBackup {
            let manager = try RunningManager(folder.path)
            #expect(manager.stop() == 0)
            try earlyState.write(to: URL(fileURLWithPath: folder.path + "/manager_state.json"))
        }
        try early.write(to: URL(fileURLWithPath: segment))
    }

    @Test("a state file or a backup beyond the journal's end is warned of, and verify fails", arguments: [false, true])
    func missingEvents(asBackup: Bool) throws {
        try losesEvents(asBackup: asBackup)
        let beyond = asBackup ? "stands at seq 4" : "stands at seq 2"
        for arguments in [
            ["status"], ["tasks"], ["show", "a"], ["workers"], ["results"], ["tail"], ["history", "a"], ["why", "a"],
            ["replay"], ["diff", "0", "1"], ["wait", "a", "--timeout", "1ms"], ["cancel", "a", "--dry-run"],
        ] {
            let run = try VerbRun(arguments + ["--data-dir", folder.path])
            #expect(run.status == (arguments[0] == "wait" ? 1 : 0), "\(arguments) \(run.errors)")
            #expect(
                run.errors.contains(beyond) && run.errors.contains("the journal ends at seq 1"),
                "\(arguments): \(run.errors)")
        }
        #expect(try verb("status", "--json").object()["total"] as? Int == 1)
        let verify = try verb("verify", "--json")
        #expect(verify.status == 2)
        #expect(
            verify.output.contains(asBackup ? "../backups/manager_state-" : "../manager_state.json"), "\(verify.output)"
        )
        #expect(try VerbRun(["serve", "--data-dir", folder.path, "--listen", "127.0.0.1:0"]).status == 2)
        #expect(try verb("cancel", "a").status == 2)
    }

    @Test("a state file that somebody changed is told from a damaged journal, and a start mends it")
    func changedState() throws {
        try submit("a")
        let path = folder.path + "/manager_state.json"
        let changed = try String(contentsOfFile: path, encoding: .utf8).replacing("pending", with: "complete")
        try changed.write(toFile: path, atomically: true, encoding: .utf8)
        let damaged = try verb("verify")
        #expect(damaged.status == 2)
        #expect(damaged.output.hasPrefix("manager_state.json is damaged: its checksum is wrong. It is no part of"))
        #expect(!damaged.output.contains("repair"))
        let manager = try RunningManager(folder.path)
        #expect(manager.stop() == 0)
        #expect(try verb("verify").status == 0)
    }

    @Test("nothing is warned of where all is well, with and without a running manager")
    func well() throws {
        try submit("a")
        #expect(try verb("status").errors == "")
        let manager = try RunningManager(folder.path, ["--snapshot-every", "10ms", "--backup-every", "10ms"])
        for number in 0..<20 {
            let body = #"{"task_id":"t\#(number)","phase":"p","config":{}}"#
            #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
            #expect(try verb("status").errors == "")
        }
        #expect(manager.stop() == 0)
    }

    @Test("a Python manager's state file that was not imported is named; so is a directory without a journal")
    func withoutJournal() throws {
        let empty = try verb("status")
        #expect(empty.status == 0 && empty.errors.contains("there is no journal in \(folder.path) yet"))
        try folder.write(#"{"tasks":{},"assigned_tasks":{}}"#, to: "manager_state.json")
        for name in ["status", "tasks", "replay", "tail"] {
            let run = try verb(name)
            #expect(run.status == 0 && run.errors.contains("is not imported yet"), "\(name): \(run.errors)")
        }
    }

    @Test("a type, a phase or an order of moments that makes no sense is refused, and what there is is listed")
    func refused() throws {
        try submit("a")
        let type = try verb("tail", "--type", "nosuch")
        #expect(type.status == 64 && type.errors.contains("there is no event type 'nosuch': added, extended"))
        #expect(try verb("tail", "--type", "added", "--type", "clock").status == 0)
        for arguments in [["tasks"], ["results"], ["wait"], ["cancel", "--yes"], ["cancel", "--dry-run"]] {
            let run = try VerbRun(arguments + ["--phase", "nosuch", "--data-dir", folder.path])
            #expect(
                run.status == 1 && run.errors.contains("there is no phase nosuch: p"), "\(arguments): \(run.errors)")
        }
        for moments in [["now", "-1h"], ["1", "0"], ["now", "0"], ["1", "-1h"]] {
            let run = try VerbRun(["diff"] + moments + ["--data-dir", folder.path])
            #expect(run.status == 64 && run.errors.contains("is later than"), "\(moments): \(run.errors)")
        }
        for moments in [["-1h", "1"], ["0", "now"], ["1", "1"]] {
            #expect(try VerbRun(["diff"] + moments + ["--data-dir", folder.path]).status == 0, "\(moments)")
        }
    }

    @Test("what an act will change is said before it is done, also where nobody can be asked")
    func countFirst() throws {
        try submit("a")
        try submit("b")
        let run = try verb("hold", "--phase", "p")
        #expect(run.status == 0 && run.output == "hold: 2 tasks changed\n")
        #expect(run.errors == "hold: 2 tasks will change\n")
        #expect(try verb("release", "--phase", "p", "--yes").errors == "")
    }

    @Test("compact in a directory without a journal makes none")
    func compactNothing() throws {
        let run = try verb("compact")
        #expect(run.status == 1 && run.errors.contains("there is no journal in \(folder.path)"))
        #expect(try LocalFileSystem().list(folder.path).isEmpty)
    }
}
