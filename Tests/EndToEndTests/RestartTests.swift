import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// The manager is stopped and started again while sixteen programs run, as for an upgrade.
@Suite("A restart under busy workers") struct RestartTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }
    private var ranFile: String { scratch.path + "/ran.txt" }
    private static let tasks = 160

    init() throws {
        scratch = try TemporaryDirectory()
        for name in ["/data", "/worker"] { try LocalFileSystem().createDirectories(scratch.path + name) }
    }

    private func runs() throws -> [String] {
        guard try LocalFileSystem().metadata(ranFile) != nil else { return [] }
        return String(decoding: try readWholeFile(ranFile, on: LocalFileSystem()), as: UTF8.self)
            .split(separator: "\n").map(String.init)
    }

    @Test(arguments: [SIGTERM, SIGKILL])
    func `no program is lost and none is run twice, whether it was stopped or killed`(signal: Int32) throws {
        var manager = try RunningManager(data)
        let port = manager.workers
        let tasks = (0..<Self.tasks).map { #"{"task_id":"t\#($0)","phase":"p","config":{}}"# }
        let added = try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]")
        try #require(added.status == 200)
        let script =
            "echo \"$MANAGER_TASK_ID.$MANAGER_ATTEMPT\" >> '\(ranFile)'; sleep 0.5; "
            + "echo '{{\"value\":1}}' > \"$MANAGER_RESULT_FILE\""
        let worker = try StartedProgram(
            [
                RunningManager.binary.path, "worker", "--url", "tcp://127.0.0.1:\(port)", "--dir",
                scratch.path + "/worker", "--name", "w", "--slots", "16", "--heartbeat", "1s", "--", "sh", "-c", script,
            ], outputPath: scratch.path + "/worker.out")
        for round in 1...3 {
            // All sixteen are busy, and some have ended.
            #expect(try eventuallyBlocking(within: .seconds(60)) { try runs().count >= 40 * round })
            if signal == SIGTERM { #expect(manager.stop() == 0) } else { manager.kill() }
            manager = try RunningManager(data, ["--worker-listen", "127.0.0.1:\(port)"])
        }
        let client = try LineClient(port: port)
        #expect(
            try eventuallyBlocking(within: .seconds(120)) {
                client.ask(#"{"type":"status"}"#)?.contains(#""complete":\#(Self.tasks),"#) == true
            })
        #expect(worker.end(by: SIGTERM) == 0)
        #expect(manager.stop() == 0)
        let ran = try runs()
        #expect(
            ran.compactMap { $0.split(separator: ".").first.map(String.init) }.sorted()
                == (0..<Self.tasks).map { "t\($0)" }.sorted())
        func count(_ type: String) throws -> Int {
            let tail = try VerbRun(["tail", "--from", "1", "--type", type, "--json", "--data-dir", data])
            return tail.output.split(separator: "\n").count
        }
        #expect(try count("completed") == Self.tasks)
        #expect(try ["failed", "started"].map(count) == [0, 4])
        // An assignment whose answer did not reach the worker any more began nowhere: it alone may be taken back.
        let again = ran.count { !$0.hasSuffix(".1") }
        #expect(try count("requeued") == again)
        #expect(try count("assigned") == Self.tasks + again)
        let rows = String(
            decoding: try readWholeFile(data + "/final_results.csv", on: LocalFileSystem()), as: UTF8.self
        )
        .split(separator: "\n").dropFirst().map { $0.prefix { $0 != "," } }
        #expect(rows.count == Self.tasks && Set(rows).count == Self.tasks)
    }
}
