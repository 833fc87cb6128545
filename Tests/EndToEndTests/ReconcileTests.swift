import EventLog
import Foundation
import TestSupport
import Testing

/// `reconcile` against the real binary.
@Suite("Result files and journal compared", .serialized)
struct ReconcileTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst())
    }

    @Test("each kind is told by file and row; rows complete, and are taken back for good")
    func kinds() throws {
        let manager = try RunningManager(data, ["--csv-every", "1h"])
        let client = try LineClient(port: manager.workers)
        for number in 0..<4 {
            let task = #"{"task_id":"t\#(number)","phase":"p","config":{"x":\#(number)}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("\"added\":1") == true)
            guard number < 2 else { continue }
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let done = #"{"task_id":"t\#(number)","attempt":1,"result":{"y":1.5}}"#
            #expect(client.ask(#"{"type":"complete","worker_id":"w","items":[\#(done)]}"#)?.contains("true") == true)
        }
        #expect(manager.stop() == 0)
        let path = data + "/results_p/final_results.csv"
        let text = String(decoding: try readWholeFile(path, on: LocalFileSystem()), as: UTF8.self)
        let agreed = try verb("reconcile", "--dry-run", "--json").object()
        #expect(agreed["agreed"] as? Int == 4 && (agreed["findings"] as? [Any])?.isEmpty == true, "\(agreed)")

        // t1's result changed by hand; t0 twice; a row for nobody; a row of another program for t2.
        var lines = text.split(separator: "\n").map(String.init)
        lines[2] = lines[2].replacing("1.5", with: "9.5")
        lines += [lines[1], "nobody,,p,42,7,1", "t2,,p,42,2,3", "t1,,p,42,1,1.5", "t0,7,p,42,0,1.5"]
        try writeAll(
            Array((lines.joined(separator: "\n") + "\n").utf8), to: try LocalFileSystem().open(path, .replace), at: 0)
        // Another program's file, whose rows know nothing of attempts.
        try LocalFileSystem().createDirectories(data + "/results_x")
        try writeAll(
            Array("task_id,y\nt0,0.7\n".utf8),
            to: try LocalFileSystem().open(data + "/results_x/final_results.csv", .replace), at: 0)
        let files = try DataFiles.all(data)
        let dry = try verb("reconcile", "--dry-run", "--json")
        #expect(dry.status == 0, "\(dry.errors)")
        let findings = try #require(try dry.object()["findings"] as? [[String: Any]])
        let own = findings.filter { $0["file"] as? String == "results_p/final_results.csv" }
        let foreign = findings.filter { $0["file"] as? String == "results_x/final_results.csv" }
        #expect(
            foreign.map { $0["kind"] as? String } == ["result_differs"] && own.count + foreign.count == findings.count)
        let found = own.map {
            "\($0["row"] as? Int ?? 0) \($0["kind"] as? String ?? "") \($0["task"] as? String ?? "-")"
        }
        #expect(
            found == [
                "3 result_differs t1", "4 two_rows t0", "5 row_without_task -", "6 missing_completion t2",
                "7 two_rows t1", "8 result_differs t0",
            ])
        #expect(own.last?["detail"] as? String == "attempt 7 was never assigned; the latest is 1")
        #expect(try DataFiles.all(data) == files)
        #expect(try verb("reconcile", "--dry-run").output.contains("row 3: result that differs, task t1 (column 'y'"))

        #expect(try verb("reconcile", "--json").object()["completed"] as? Int == 1)
        let evidence = try #require(
            try verb("tail", "--type", "completed", "-n", "1", "--json").output.split(separator: "\n").last)
        #expect(evidence.contains(#""via":"csv""#) && evidence.contains(#""row":6"#) && evidence.contains("row_sha256"))
        let seq = String(evidence.dropFirst(7).prefix { $0.isNumber })
        #expect(try verb("reconcile", "--undo", "1").status == 1)
        #expect(try verb("reconcile", "--undo", seq, "--json").object()["requeued"] as? Int == 1)
        #expect(try IndependentFold(directory: data).tasks["t2"]?.status == "pending")
        #expect(try verb("reconcile", "--json").object()["completed"] as? Int == 0, "a row counts once")
        let again = try RunningManager(data)
        #expect(try verb("reconcile").status == 1)
        #expect(again.stop() == 0)
        #expect(try IndependentFold(directory: data).tasks["t2"]?.status == "pending")
        #expect(try verb("verify").status == 0)
    }
}
