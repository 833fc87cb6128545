import EventLog
import Foundation
import TestSupport
import Testing

@Suite("The real manager", .serialized)
struct ServeTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    private func add(_ id: String) -> String {
        #"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"p","config":{"x":1}}]}"#
    }

    @Test("a Python worker's requests are answered as before")
    func oldForm() throws {
        let manager = try RunningManager(scratch.path)
        let fast = try LineClient(port: manager.workers)
        #expect(fast.ask(add("t1")) == #"{"type":"added","added":1,"existing":0}"#)
        func once(_ request: String) throws -> String? {
            let client = try LineClient(port: manager.workers, fast: false)
            client.send(request)
            return client.line()
        }
        #expect(
            try once(#"{"type":"request_task","worker_id":"gpu0"}"#)
                == #"{"type":"task","task":{"task_id":"t1","phase":"p","config":{"x":1},"seed":42,"output_dir":"results_p"}}"#
        )
        #expect(try once(#"{"type":"request_task","worker_id":"gpu1"}"#) == #"{"type":"no_task"}"#)
        #expect(
            try once(#"{"type":"submit_result","task_id":"t1","worker_id":"gpu0","result_data":{"acc":0.5}}"#)
                == #"{"type":"ack"}"#)
        let rows = try String(contentsOfFile: scratch.path + "/results_p/final_results.csv", encoding: .utf8)
        #expect(rows == "task_id,attempt,phase,seed,x,acc\nt1,1,p,42,1,0.5\n")
        #expect(try once(#"{"type":"task_complete","task_id":"t1","worker_id":"gpu0"}"#) == #"{"type":"ack"}"#)
        #expect(try once("nonsense")?.contains(#""type":"error""#) == true)
        #expect(manager.stop() == 0)
        #expect(try RunningManager.verb("verify", "--data-dir", scratch.path).status == 0)
    }

    @Test(
        "killed with -9 again and again under load, no acknowledged transition is lost", arguments: [UInt64(20_261_124)]
    )
    func killUnderLoad(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        let acknowledged = Acknowledged()
        for round in 0..<4 {
            let manager = try RunningManager(scratch.path, ["--segment-bytes", "20000"])
            let port = manager.workers
            let ended = DispatchGroup()
            for index in 0..<4 {
                ended.enter()
                Thread.detachNewThread {
                    Self.work(round, index, port, acknowledged)
                    ended.leave()
                }
            }
            // Killed in the middle of whatever the four are at when so many more transitions were acknowledged.
            #expect(acknowledged.wait(forMore: Int.random(in: 20...400, using: &random)), "seed \(seed)")
            manager.kill()
            ended.wait()
            let (status, state) = try RunningManager.verb("replay", "--data-dir", scratch.path)
            #expect(status == 0, "seed \(seed), round \(round)")
            let known = acknowledged.all
            for id in known.added { #expect(state.contains("\"task_id\":\"\(id)\""), "seed \(seed): \(id) is lost") }
            let complete = try Self.complete(in: state)
            #expect(known.completed.subtracting(complete).isEmpty, "seed \(seed), round \(round)")
        }
        let manager = try RunningManager(scratch.path)
        #expect(manager.stop() == 0)
        let saved = try String(contentsOfFile: scratch.path + "/manager_state.json", encoding: .utf8)
        #expect(try RunningManager.verb("replay", "--data-dir", scratch.path).output == saved)
        let rows = try String(contentsOfFile: scratch.path + "/final_results.csv", encoding: .utf8)
            .split(separator: "\n").dropFirst().map { String($0.prefix { $0 != "," }) }
        #expect(Set(rows).count == rows.count, "seed \(seed): a row stands twice")
        #expect(acknowledged.all.completed.subtracting(rows).isEmpty, "seed \(seed): a row is missing")
        #expect(try RunningManager.verb("verify", "--data-dir", scratch.path).status == 0)
    }

    /// Adds, claims and completes until the manager goes; notes what was acknowledged.
    private static func work(_ round: Int, _ index: Int, _ port: UInt16, _ acknowledged: Acknowledged) {
        guard let client = try? LineClient(port: port) else { return }
        for turn in 0..<100_000 {
            let id = "r\(round)-c\(index)-\(turn)"
            guard client.ask(#"{"type":"add","tasks":[{"task_id":"\#(id)","phase":"p","config":{}}]}"#) != nil else {
                return
            }
            acknowledged.add(id)
            guard let claim = client.ask(#"{"type":"claim","worker_id":"w\#(index)"}"#),
                let task = value("task_id", claim), let attempt = number(after: "\"attempt\":", claim)
            else { return }
            let done = client.ask(
                #"{"type":"complete","worker_id":"w\#(index)","items":[{"task_id":"\#(task)","attempt":\#(attempt),"result":{"y":1}}]}"#
            )
            guard done?.contains(#""ok":true"#) == true else { return }
            acknowledged.complete(task)
        }
    }

    private static func value(_ key: String, _ text: String) -> String? {
        guard let start = text.range(of: "\"\(key)\":\"") else { return nil }
        return String(text[start.upperBound...].prefix { $0 != "\"" })
    }

    private static func number(after mark: String, _ text: String) -> Int? {
        text.range(of: mark).flatMap { Int(text[$0.upperBound...].prefix { $0.isNumber }) }
    }

    private static func complete(in state: String) throws -> Set<String> {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(state.utf8)) as? [String: Any])
        let tasks = try #require(object["tasks"] as? [String: [String: Any]])
        return Set(tasks.filter { $0.value["status"] as? String == "complete" }.keys)
    }

    @Test("a second manager on the same directory is told who holds it, and exits 1")
    func secondManager() throws {
        let manager = try RunningManager(scratch.path)
        let second = try RunningManager.verb(
            "serve", "--data-dir", scratch.path, "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0")
        #expect(second.status == 1)
        #expect(second.output.contains("\"pid\":\(manager.process.processIdentifier)"))
        #expect(manager.stop() == 0)
    }

    @Test("a state file whose journal is missing is refused with exit 2, and stays")
    func stateWithoutJournal() throws {
        let manager = try RunningManager(scratch.path)
        #expect(manager.stop() == 0)
        try FileManager.default.removeItem(atPath: scratch.path + "/journal")
        let refused = try RunningManager.verb("serve", "--data-dir", scratch.path, "--listen", "127.0.0.1:0")
        #expect(refused.status == 2)
        #expect(FileManager.default.fileExists(atPath: scratch.path + "/manager_state.json"))
    }

    @Test("a sweep with an unknown key in its command is refused before anything starts")
    func unknownKey() throws {
        let sweep = scratch.path + "/sweep.yaml"
        try "p:\n  combinations:\n    - a: [1, 2]\n".write(toFile: sweep, atomically: true, encoding: .utf8)
        let refused = try RunningManager.verb(
            "run", sweep, "--data-dir", scratch.path + "/data", "--", "echo", "{b}")
        #expect(refused.status == 1)
        #expect(refused.output.contains("b"))
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/data/journal"))
    }

    @Test("tasks that wait for what never comes are named at the start")
    func neverClaimable() throws {
        let sweep = scratch.path + "/sweep.yaml"
        try "a:\n  after: b\n  combinations:\n    - x: [1]\nb:\n  after: a\n  combinations:\n    - x: [1, 2]\n".write(
            toFile: sweep, atomically: true, encoding: .utf8)
        let run = try RunningManager.verb("run", sweep, "--data-dir", scratch.path + "/data", "--", "true")
        #expect(run.status == 1)
        #expect(run.output.contains("never claimable as things stand: 1 task waits for b\n"))
        #expect(run.output.contains("never claimable as things stand: 2 tasks wait for a\n"))
    }

    @Test("run works a sweep off, and run again it adds nothing")
    func runTwice() throws {
        let sweep = scratch.path + "/sweep.yaml"
        try "p:\n  combinations:\n    - a: [1, 2]\n    - seed: [7, 8]\n".write(
            toFile: sweep, atomically: true, encoding: .utf8)
        let data = scratch.path + "/data"
        let command = #"echo '{{"y":'$0'}}' > "$MANAGER_RESULT_FILE""#
        for _ in 0..<2 {
            let run = try RunningManager.verb(
                "run", sweep, "--workers", "2", "--data-dir", data, "--", "sh", "-c", command, "{a}")
            #expect(run.status == 0, "\(run.output)")
        }
        let rows = try String(contentsOfFile: data + "/final_results.csv", encoding: .utf8)
        #expect(rows.split(separator: "\n").count == 5)
        #expect(rows.contains("p_0_7,1,p,7,1,1\n"))
    }
}
