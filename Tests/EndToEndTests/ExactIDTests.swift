import Foundation
import TestSupport
import Testing

/// Ids and directories that look the same and are written in different bytes.
@Suite("Ids are compared as bytes", .serialized)
struct ExactIDTests {
    private let scratch: TemporaryDirectory
    /// `é` as one character and as two, escaped as JSON.
    private let ids = ["caf\\u00e9", "cafe\\u0301"]

    init() throws { scratch = try TemporaryDirectory() }

    @Test("two tasks whose ids look the same are two, and each keeps its own result")
    func twoTasks() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        let tasks = ids.map { #"{"task_id":"\#($0)","phase":"p","config":{},"output_dirs":["results_\#($0)"]}"# }
        #expect(
            client.ask(#"{"type":"add","tasks":[\#(tasks.joined(separator: ","))]}"#)
                == #"{"type":"added","added":2,"existing":0}"#)
        #expect(client.ask(#"{"type":"claim","worker_id":"w","count":2}"#)?.contains("tasks") == true)
        let items = ids.enumerated().map { #"{"task_id":"\#($1)","attempt":1,"result":{"acc":\#($0 + 5)}}"# }
        let done = client.ask(#"{"type":"complete","worker_id":"w","items":[\#(items.joined(separator: ","))]}"#)
        #expect(done?.components(separatedBy: #""ok":true"#).count == 3)
        for (index, id) in ["caf\u{e9}", "cafe\u{301}"].enumerated() {
            let path = Array((scratch.path + "/results_" + id + "/final_results.csv").utf8CString)
            let file = try #require(path.withUnsafeBufferPointer { fopen($0.baseAddress, "r") }, "\(index)")
            defer { fclose(file) }
            var text = [CChar](repeating: 0, count: 1000)
            fread(&text, 1, 999, file)
            let rows = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            #expect(rows.split(separator: "\n").count == 2 && rows.contains(",\(index + 5)\n"), "\(rows)")
        }
        let url = manager.http
        let again = try RunningManager.verb("requeue", ids.map(decoded)[0], ids.map(decoded)[1], "--url", url)
        #expect(again.status == 0)
        #expect(client.ask(#"{"type":"status"}"#)?.contains(#""pending":2"#) == true)
        #expect(manager.stop() == 0)
    }

    @Test("configs and output directories that look the same are others, too")
    func membersOfTasks() throws {
        let manager = try RunningManager(scratch.path)
        let client = try LineClient(port: manager.workers)
        func add(_ config: String, _ directory: String) -> String? {
            client.ask(
                #"{"type":"add","tasks":[{"task_id":"t","phase":"p","config":{"x":"\#(config)"},"output_dirs":["\#(directory)"]}]}"#
            )
        }
        #expect(add(ids[0], ids[0]) == #"{"type":"added","added":1,"existing":0}"#)
        #expect(add(ids[1], ids[0])?.hasPrefix(#"{"type":"error""#) == true)
        #expect(add(ids[0], ids[1])?.hasPrefix(#"{"type":"error""#) == true)
        #expect(manager.stop() == 0)
        // A sweep's other output directory extends its task.
        let sweep = scratch.path + "/sweep.yaml"
        for directory in ids.map(decoded) {
            try "defaults: {output_dir: \(directory)}\nq:\n  combinations:\n    - a: [1]\n".write(
                toFile: sweep, atomically: true, encoding: .utf8)
            #expect(try VerbRun(["submit", sweep, "--data-dir", scratch.path]).status == 0)
        }
        let state = try Data(contentsOf: URL(fileURLWithPath: scratch.path + "/manager_state.json"))
        let whole = try #require(try JSONSerialization.jsonObject(with: state) as? [String: Any])
        let tasks = try #require(whole["tasks"] as? [String: [String: Any]])
        let directories = try #require(tasks["q_0_42"]?["output_dirs"] as? [String])
        #expect(directories.map { Array($0.utf8) } == ids.map { Array(decoded($0).utf8) })
    }

    private func decoded(_ escaped: String) -> String {
        escaped == ids[0] ? "caf\u{e9}" : "cafe\u{301}"
    }
}
