import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@Suite("Crash, downtime and clean restarts", .serialized)
struct ResumeTests {
    private let folder: DataFolder
    private let file = "results_exp1/final_results.csv"

    init() throws { folder = try DataFolder() }

    private static let sweep = """
        exp1:
          output_dir: results_exp1
          combinations:
            - seed: [42, 101]
            - width_factor: [1, 4, 16]
        """

    private func config() throws -> [String] {
        try folder.write(Self.sweep, to: "sweep.yaml")
        return ["--config", folder.path + "/sweep.yaml", "--csv-every", "100ms"]
    }

    @Test("killed and started again within minutes: assignments stay valid and their workers go on")
    func crash() throws {
        let options = try config()
        var manager = try RunningManager(folder.path, options)
        for gpu in 0..<3 { _ = try manager.once(#"{"type":"request_task","worker_id":"gpu\#(gpu)"}"#) }
        #expect(
            try manager.once(#"{"type":"task_complete","task_id":"exp1_0_42","worker_id":"gpu0"}"#)
                == #"{"type":"ack"}"#)
        manager.kill()
        manager = try RunningManager(folder.path, options)
        #expect(
            try manager.once(
                #"{"type":"submit_result","task_id":"exp1_1_42","worker_id":"gpu1","result_data":{"acc":0.5}}"#)
                == #"{"type":"ack"}"#)
        #expect(manager.stop() == 0)
        #expect(
            try manager.printed() == [
                "Loaded state: 6 tasks, 2 assigned",
                "Assignment of exp1_1_42 to gpu1 (0.0 hours ago) still valid",
                "Assignment of exp1_2_42 to gpu2 (0.0 hours ago) still valid",
                "Updating state with CSV completions...",
                "Initial status: 1/6 (16.7%)",
                "Shutting down...",
                "Saved state: 6 tasks",
            ])
        #expect(try folder.status("exp1_1_42") == "complete")
        #expect(try folder.status("exp1_2_42") == "assigned")
    }

    @Test("after hours of downtime rows on the disk complete tasks, and stale ones run again")
    func downtime() throws {
        let options = try config()
        let now = 6.0 * 3600
        try HandWrittenJournal.write(
            [
                .init(secondsAgo: now, (0..<6).map { Self.added($0) }),
                .init(secondsAgo: 3.2 * 3600, [Self.assigned(0, "gpu0"), Self.assigned(1, "gpu1")]),
                .init(secondsAgo: 0.5 * 3600, [Self.assigned(2, "gpu2")]),
            ], to: folder.path)
        // gpu0 and gpu2 wrote their rows and found no manager; one of a task that nobody was given; a torn one.
        try folder.write(
            "phase,seed,width_factor,acc\nexp1,42,1.0,0.9\nexp1,42,16,0.8\nexp1,101,1,0.7\nexp1,101,4,0.", to: file)
        var manager = try RunningManager(folder.path, options)
        let claim = try manager.once(#"{"type":"request_task","worker_id":"gpu5"}"#)
        #expect(claim?.contains("exp1_1_42") == true)
        manager.kill()
        #expect(
            try manager.printed() == [
                "Loaded state: 6 tasks, 3 assigned",
                "Assignment of exp1_2_42 to gpu2 (0.5 hours ago) still valid",
                "Reassigning stale task exp1_0_42 (assigned 3.2 hours ago)",
                "Reassigning stale task exp1_1_42 (assigned 3.2 hours ago)",
                "Updating state with CSV completions...",
                "Marked 3 tasks as already completed",
                "Initial status: 3/6 (50.0%)",
            ])
        let done = try folder.events("completed")
        #expect(done.map { $0["task"] as? String } == ["exp1_0_42", "exp1_2_42", "exp1_3_101"])
        #expect(done.map { $0["worker"] as? String } == ["gpu0", "gpu2", nil])
        #expect(done.map { $0["attempt"] as? Int } == [1, 1, 0])
        #expect(done.map { $0["late"] as? Bool } == [true, nil, true])
        // The torn row gets its end; the next start reads it, and nothing twice.
        try folder.append("6\n", to: file)
        manager = try RunningManager(folder.path, options)
        #expect(manager.stop() == 0)
        let lines = try manager.printed()
        #expect(lines.contains("Marked 1 task as already completed"))
        #expect(lines.contains("Initial status: 4/6 (66.7%)"))
        #expect(try folder.events("completed").count == 4)
        #expect(try RunningManager.verb("verify", "--data-dir", folder.path).status == 0)
    }

    @Test("a clean stop and a start change nothing")
    func clean() throws {
        let options = try config()
        var manager = try RunningManager(folder.path, options)
        _ = try manager.once(#"{"type":"request_task","worker_id":"gpu0"}"#)
        try folder.write("task_id,acc\nexp1_3_101,0.5\n", to: file)
        try folder.wait(for: "exp1_3_101", "complete")
        #expect(manager.stop() == 0)
        let before = try folder.tasks()
        manager = try RunningManager(folder.path, options)
        #expect(manager.stop() == 0)
        #expect(try NSDictionary(dictionary: folder.tasks()).isEqual(to: before))
        #expect(
            try manager.printed() == [
                "Loaded state: 6 tasks, 1 assigned",
                "Assignment of exp1_0_42 to gpu0 (0.0 hours ago) still valid",
                "Updating state with CSV completions...",
                "Initial status: 1/6 (16.7%)",
                "Shutting down...",
                "Saved state: 6 tasks",
            ])
        for type in ["completed", "csv_read", "assigned"] { #expect(try folder.events(type).count == 1, "\(type)") }
    }

    @Test("a Python worker that writes its row itself and is lost: the row completes the task while the manager runs")
    func lostWorker() throws {
        let manager = try RunningManager(folder.path, try config())
        _ = try manager.once(#"{"type":"request_task","worker_id":"gpu0"}"#)
        _ = try manager.once(#"{"type":"request_task","worker_id":"gpu1"}"#)
        try folder.write("phase,seed,width_factor,acc\nexp1,42,1,0.9\nexp1,42,4,0.8\n", to: file)
        try folder.wait(for: "exp1_0_42", "complete")
        // The other one reports after all, with its result: the row of the manager stands beside its own.
        #expect(
            try manager.once(
                #"{"type":"submit_result","task_id":"exp1_1_42","worker_id":"gpu1","result_data":{"acc":0.8}}"#)
                == #"{"type":"ack"}"#)
        #expect(
            try manager.once(#"{"type":"task_complete","task_id":"exp1_1_42","worker_id":"gpu1"}"#)
                == #"{"type":"ack"}"#)
        let rows = try String(contentsOfFile: folder.path + "/" + file, encoding: .utf8)
        #expect(
            rows == """
                phase,seed,width_factor,acc,task_id,attempt
                exp1,42,1,0.9,,
                exp1,42,4,0.8,,
                exp1,42,4,0.8,exp1_1_42,1

                """)
        // The scan that reads this row has read all before it.
        try folder.append("exp1,42,16,0.7,,\n", to: file)
        try folder.wait(for: "exp1_2_42", "complete")
        #expect(manager.stop() == 0)
        let done = try folder.events("completed")
        #expect(done.map { $0["via"] as? String } == ["csv", "csv", "csv"])
        #expect(done.map { $0["worker"] as? String } == ["gpu0", "gpu1", nil])
        #expect(try folder.tasks().values.filter { $0["status"] as? String == "complete" }.count == 3)
    }

    @Test("silent attempts are requeued while the manager runs, and the first worker's late report still counts")
    func staleWhileRunning() throws {
        let manager = try RunningManager(folder.path, try config() + ["--stale-after", "1s"])
        _ = try manager.once(#"{"type":"request_task","worker_id":"gpu0"}"#)
        try folder.wait(for: "exp1_0_42", "pending")
        #expect(try folder.events("requeued").first?["reason"] as? String == "stale")
        #expect(try manager.once(#"{"type":"request_task","worker_id":"gpu1"}"#)?.contains("exp1_0_42") == true)
        #expect(
            try manager.once(#"{"type":"task_complete","task_id":"exp1_0_42","worker_id":"gpu0"}"#)
                == #"{"type":"ack"}"#)
        #expect(try folder.status("exp1_0_42") == "complete")
        #expect(try folder.events("completed").first?["late"] as? Bool == true)
        #expect(manager.stop() == 0)
    }

    @Test("a hundred thousand rows complete a hundred thousand tasks, once")
    func large() throws {
        let count = 100_000
        try folder.write(
            """
            big:
              combinations:
                - i: [\((0..<count / 100).map(String.init).joined(separator: ", "))]
                - j: [\((0..<100).map(String.init).joined(separator: ", "))]
            """, to: "big.yaml")
        var text = "phase,seed,i,j,acc\n"
        for number in 0..<count { text += "big,42,\(number / 100),\(number % 100).0,0.5\n" }
        try folder.write(text, to: "results_big/final_results.csv")
        let options = ["--config", folder.path + "/big.yaml"]
        for round in 0..<2 {
            let manager = try RunningManager(folder.path, options, seconds: 300)
            #expect(manager.stop() == 0)
            let lines = try manager.printed()
            #expect(lines.contains("Marked \(count) tasks as already completed") == (round == 0), "\(lines)")
            #expect(lines.contains("Initial status: \(count)/\(count) (100.0%)"))
        }
        let (_, status) = try RunningManager.verb("status", "--json", "--data-dir", folder.path)
        #expect(status.contains("\"complete\":\(count)"))
    }

    private static func added(_ number: Int) -> Event {
        let seed = [42, 101][number / 3]
        var spec = TaskSpec(
            phase: "exp1", config: Array(#"{"seed":\#(seed),"width_factor":\#([1, 4, 16][number % 3])}"#.utf8),
            seed: Array("\(seed)".utf8), outputDirectories: ["results_exp1"])
        spec.key = ["phase", "seed", "width_factor"]
        return .added(id: "exp1_\(number)_\(seed)", spec: spec, counter: Int64(number))
    }

    private static func assigned(_ number: Int, _ worker: String) -> Event {
        .assigned(Event.Assignment(task: "exp1_\(number)_42", worker: worker, attempt: 1))
    }
}
