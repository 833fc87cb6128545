import EventLog
import Foundation
import TestSupport
import Testing

/// Complete tasks that get another output directory when the events of their completions were discarded.
@Suite("Rows of tasks that are extended after their completions were discarded", .serialized)
struct ExtendedRowsTests {
    private let scratch: TemporaryDirectory
    private let data: String
    private var sweep: String { scratch.path + "/s.yaml" }
    private let row = "task_id,attempt,phase,seed,a,y\np_0_42,1,p,42,1,5\n"

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    private func verb(_ arguments: String...) throws -> VerbRun { try VerbRun(arguments + ["--data-dir", data]) }

    private func writeSweep(directory: String?, points: String = "1") throws {
        let defaults = directory.map { "defaults: {output_dir: \($0)}\n" } ?? ""
        try "\(defaults)p:\n  combinations:\n    - a: [\(points)]\n"
            .write(toFile: sweep, atomically: true, encoding: .utf8)
    }

    private func text(_ name: String) throws -> String {
        String(decoding: try readWholeFile(data + "/" + name, on: LocalFileSystem()), as: UTF8.self)
    }

    private func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: data + "/" + name) }

    private func remove(_ name: String) throws { try FileManager.default.removeItem(atPath: data + "/" + name) }

    /// A sweep that is done, whose completions the journal does not have any more.
    private func runAndDiscard(_ result: String = #"{{"y":5}}"#, points: String = "1") throws {
        try writeSweep(directory: nil, points: points)
        let program = ["--", "sh", "-c", "echo '\(result)' > \"$MANAGER_RESULT_FILE\""]
        let run = try VerbRun(["run", sweep, "--data-dir", data, "--workers", "1"] + program)
        #expect(run.status == 0, "\(run.errors)")
        let discarded = try verb("compact", "--discard-before", "now")
        #expect(discarded.status == 0, "\(discarded.errors)")
        try #require(
            try !verb("tail", "--from", "1", "-n", "1000", "--json").output.contains(#""type":"completed""#))
    }

    private func extend(to directory: String = "more", points: String = "1") throws -> VerbRun {
        try writeSweep(directory: directory, points: points)
        let run = try verb("submit", sweep, "--json")
        #expect(run.status == 0 && run.output.contains("\"extended\":\(points.split(separator: ",").count)"))
        return run
    }

    @Test("the row comes from the data directory's own file, once", arguments: Side.allCases)
    func discarded(side: Side) throws {
        try runAndDiscard()
        let manager = side == .running ? try RunningManager(data) : nil
        let run = try extend()
        #expect(run.errors.isEmpty, "\(run.errors)")
        #expect(try text("more/final_results.csv") == row)
        if let manager { #expect(manager.stop() == 0) }
        #expect(try text("final_results.csv") == row && text("results_p/final_results.csv") == row)
        // What the manager wrote completes nothing, and no start writes it again.
        let again = try RunningManager(data)
        #expect(again.stop() == 0)
        #expect(try text("more/final_results.csv") == row)
        #expect(try verb("verify", "--state").status == 0)
    }

    @Test("power lost between the event and the row: the next start writes it, once")
    func powerLost() throws {
        try runAndDiscard()
        let saved = try text("manager_state.json")
        _ = try extend()
        // As if the row and the newer state had not reached the disk.
        try remove("more")
        try saved.write(toFile: data + "/manager_state.json", atomically: true, encoding: .utf8)
        for _ in 0..<2 {
            let manager = try RunningManager(data)
            #expect(manager.stop() == 0)
            #expect(try text("more/final_results.csv") == row)
        }
        // And as if the row had, and the state had not.
        try saved.write(toFile: data + "/manager_state.json", atomically: true, encoding: .utf8)
        let manager = try RunningManager(data)
        #expect(manager.stop() == 0)
        #expect(try text("more/final_results.csv") == row)
    }

    @Test(
        "where the data directory's file lacks it, that of another output directory has it; columns go by their names")
    func otherDirectory() throws {
        try runAndDiscard(#"{{"y":5,"name":"a, \"b\"","none":null,"list":[1,2]}}"#)
        try remove("final_results.csv")
        // Other columns, in another order, and rows of others.
        try #"""
        name,extra,task_id,list,y,attempt,phase,seed,a
        theirs,1,p_0_42,"[1,2]",9,,p,42,1
        older,,p_0_42,"[1,2]",4,0,p,42,1
        "a, ""b""",,p_0_42,"[1,2]",5,1,p,42,1
        later,,p_0_42,"[1,2]",6,2,p,42,1
        short,,p_0_42

        """#.write(toFile: data + "/results_p/final_results.csv", atomically: true, encoding: .utf8)
        let run = try extend()
        #expect(run.errors.isEmpty, "\(run.errors)")
        #expect(
            try text("more/final_results.csv")
                == "task_id,attempt,phase,seed,a,name,list,y\np_0_42,1,p,42,1,\"a, \"\"b\"\"\",\"[1,2]\",5\n")
    }

    @Test("where no file has it, one sentence says so and what to do, and nothing is owed")
    func nowhere() throws {
        try runAndDiscard(points: "1,2,3,4,5")
        let rows = try text("final_results.csv").split(separator: "\n")
        try remove("final_results.csv")
        try (rows.prefix(2).joined(separator: "\n") + "\n")
            .write(toFile: data + "/results_p/final_results.csv", atomically: true, encoding: .utf8)
        let run = try extend(points: "1,2,3,4,5")
        #expect(try text("more/final_results.csv") == row)
        let told = run.errors.split(separator: "\n").filter { $0.contains("more/final_results.csv") }
        #expect(told.count == 1, "\(run.errors)")
        let sentence = told.first ?? ""
        #expect(sentence.contains("no rows of the tasks p_1_42, p_2_42, p_3_42, … and 1 more"), "\(sentence)")
        #expect(sentence.contains("copy them there") && sentence.contains("manager requeue"), "\(sentence)")
        let seq = try #require(try verb("status", "--json").object()["seq"] as? Int)
        #expect(try text("manager_state.json").contains("\"journal\":{\"seq\":\(seq),"), "a snapshot may pass it")
        let manager = try RunningManager(data)
        #expect(manager.stop() == 0)
        #expect(try text("more/final_results.csv") == row)
    }

    @Test("a task that completed without a result owes no row, though one of an earlier attempt stands")
    func withoutResult() throws {
        try runAndDiscard()
        #expect(try verb("requeue", "p_0_42").status == 0)
        let run = try VerbRun(["run", sweep, "--data-dir", data, "--", "true"])
        #expect(run.status == 0, "\(run.errors)")
        let extended = try extend()
        #expect(extended.errors.isEmpty, "\(extended.errors)")
        #expect(!has("more/final_results.csv"))
    }

    @Test("of a task that ran again, the newest completion's row comes")
    func ranAgain() throws {
        try runAndDiscard()
        #expect(try verb("requeue", "p_0_42").status == 0)
        let program = ["--", "sh", "-c", #"echo '{{"y":7}}' > "$MANAGER_RESULT_FILE""#]
        #expect(try VerbRun(["run", sweep, "--data-dir", data] + program).status == 0)
        #expect(try verb("compact", "--discard-before", "now").status == 0)
        _ = try extend()
        #expect(try text("more/final_results.csv") == "task_id,attempt,phase,seed,a,y\np_0_42,2,p,42,1,7\n")
    }
}
