import EventLog
import Foundation
import TestSupport
import Testing

/// `serve --journal-bytes` and `--keep`, and what `status` tells of the disk.
@Suite("The journal's share of the disk", .serialized)
struct BudgetTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func work(_ manager: RunningManager, _ tasks: Range<Int>) throws {
        let client = try LineClient(port: manager.workers)
        for number in tasks {
            let task = #"{"task_id":"t\#(number)","phase":"p","config":{"x":\#(number)}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("\"added\":1") == true)
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let done = #"{"task_id":"t\#(number)","attempt":1,"result":{"y":1}}"#
            #expect(client.ask(#"{"type":"complete","worker_id":"w","items":[\#(done)]}"#)?.contains("true") == true)
        }
    }

    private func segments() throws -> [String] { try DataFiles.names(data + "/journal", prefix: "0") }

    @Test(
        "over the budget the oldest segments are dropped or moved, and nothing else is lost", arguments: [false, true])
    func dropped(archived: Bool) throws {
        let archive = scratch.path + "/archive"
        let manager = try RunningManager(
            data,
            [
                "--segment-bytes", "3000", "--journal-bytes", "9000", "--when-exceeded",
                archived ? "archive=" + archive : "discard",
            ])
        let first = try segments().first
        try work(manager, 0..<120)
        #expect(try eventuallyBlocking { try segments().first != first && segments().count < 20 })
        #expect(manager.stop() == 0)
        #expect(try VerbRun(["verify", "--data-dir", data]).status == 0)
        #expect(try VerbRun(["status", "--json", "--data-dir", data]).object()["complete"] as? Int == 120)
        #expect(try VerbRun(["replay", "--seq", "5", "--data-dir", data]).status == 1)
        // What each discarding leaves for good is less than what went, so that the journal does not grow by it.
        let baselines = try DataFiles.names(data + "/journal", prefix: "baseline-")
        #expect(!baselines.isEmpty && baselines.count <= 8, "\(baselines)")
        guard archived else { return }
        #expect(try VerbRun(["verify", "--data-dir", archive]).status == 0)
        #expect(try VerbRun(["replay", "--seq", "5", "--data-dir", archive]).status == 0)
    }

    @Test("without a word of what to do it only warns; status tells bytes and what is left")
    func warned() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "3000", "--journal-bytes", "9000", "--keep", "1ms"])
        let first = try segments().first
        try work(manager, 0..<40)
        #expect(try segments().first?.prefix(20) == first?.prefix(20))
        let overHTTP = try HTTPCaller.call(manager.http, "GET", "/status")["disk"] as? [String: Any]
        #expect(manager.stop() == 0)
        let disk = try #require(
            try VerbRun(["status", "--json", "--data-dir", data]).object()["disk"] as? [String: Any])
        #expect((disk["journal_bytes"] as? Int ?? 0) > 3000 && (disk["free_bytes"] as? Int ?? 0) > 0)
        #expect(Set(disk.keys) == Set(try #require(overHTTP).keys))
        #expect(try VerbRun(["status", "--data-dir", data]).output.contains("journal "))
        #expect(try VerbRun(["serve", "--when-exceeded", "nothing", "--data-dir", data]).status == 64)
    }
}
