import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("Rows of others beside our own, under load and kill -9", .serialized)
struct RowsUnderLoadTests {
    private let folder: DataFolder

    init() throws { folder = try DataFolder() }

    /// Adds a task, claims it and completes it with a result whose keys change, so that headers grow.
    private static func work(_ port: UInt16, _ prefix: String, _ rows: borrowing Mutex<Set<String>>) {
        guard let client = try? LineClient(port: port) else { return }
        for turn in 0..<10_000 {
            let id = "\(prefix)-\(turn)"
            guard client.ask(#"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"own","config":{}}]}"#) != nil,
                client.ask(#"{"type":"claim","worker_id":"\#(prefix)"}"#) != nil,
                client.ask(
                    #"{"type":"complete","worker_id":"\#(prefix)","items":[{"task_id":"\#(id)","result":{"k\#(turn / 40)":1}}]}"#
                )?.contains(#""ok":true"#) == true
            else { return }
            rows.withLock { _ = $0.insert(id) }
        }
    }

    @Test("every task is completed once, by what completed it", arguments: [UInt64(20_261_125)])
    func load(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let own = Mutex<Set<String>>([])
        let file = "results_others/final_results.csv"
        try folder.write("task_id,acc\n", to: file)
        var others: [String] = []
        for round in 0..<4 {
            let manager = try RunningManager(
                folder.path, ["--csv-every", "10ms", "--segment-bytes", "50000"], seconds: 60)
            let client = try LineClient(port: manager.workers)
            let port = manager.workers
            let thread = Thread { Self.work(port, "r\(round)", own) }
            thread.start()
            for number in 0..<UInt64.random(in: 10...30, using: &random) {
                let id = "other-\(round)-\(number)"
                _ = client.ask(
                    #"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"others","config":{},"priority":-9}]}"#)
                // A row in two pieces, as a buffered writer leaves it.
                try folder.append(id, to: file)
                // The manager goes on meanwhile, and scans the file or not.
                for _ in 0..<Int.random(in: 0...60, using: &random) { _ = client.ask(#"{"type":"status"}"#) }
                try folder.append(",\(number)\n", to: file)
                others.append(id)
            }
            manager.kill()
            try #require(try eventuallyBlocking { thread.isFinished })
        }
        let manager = try RunningManager(folder.path, ["--csv-every", "10ms"], seconds: 60)
        #expect(manager.stop() == 0)
        let done = try folder.events("completed")
        let byRows = done.filter { $0["via"] as? String == "csv" }.compactMap { $0["task"] as? String }
        let reported = done.filter { $0["via"] as? String == "worker" }.compactMap { $0["task"] as? String }
        #expect(byRows.sorted() == others.sorted(), "seed \(seed)")
        #expect(Set(reported).count == reported.count, "seed \(seed)")
        #expect(own.withLock { $0 }.subtracting(reported).isEmpty, "seed \(seed)")
        #expect(reported.allSatisfy { !$0.hasPrefix("other") }, "seed \(seed)")
        #expect(try RunningManager.verb("verify", "--data-dir", folder.path).status == 0)
    }
}
