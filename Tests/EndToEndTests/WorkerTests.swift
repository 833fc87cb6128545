import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("The worker agent", .serialized)
struct WorkerTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/manager" }
    private var own: String { scratch.path + "/worker" }
    private var log: String { scratch.path + "/worker.log" }

    init() throws {
        scratch = try TemporaryDirectory()
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        try FileManager.default.createDirectory(atPath: own, withIntermediateDirectories: true)
    }

    /// A program that notes that it runs, takes its time and leaves a result.
    private func program(seconds: Double) -> [String] {
        [
            "sh", "-c",
            "echo \"$MANAGER_TASK_ID $MANAGER_ATTEMPT $$\" >> \(own)/ran.txt; sleep \(seconds); "
                + "echo '{{\"value\":1}}' > \"$MANAGER_RESULT_FILE\"",
        ]
    }

    private func startWorker(_ port: UInt16, _ extra: [String], _ program: [String]) throws -> Process {
        let process = Process()
        process.executableURL = RunningManager.binary
        process.arguments =
            ["worker", "--url", "tcp://127.0.0.1:\(port)", "--dir", own, "--name", "w"] + extra + ["--"] + program
        process.standardOutput = FileHandle.nullDevice
        try Data().write(to: URL(fileURLWithPath: log))
        process.standardError = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try process.run()
        return process
    }

    private func add(_ count: Int, to client: LineClient) throws {
        let tasks = (0..<count).map { #"{"task_id":"t\#($0)","phase":"p","config":{"n":\#($0)},"seed":1}"# }
        let answer = client.ask(#"{"type":"add","tasks":[\#(tasks.joined(separator: ","))]}"#)
        #expect(answer == #"{"type":"added","added":\#(count),"existing":0}"#)
    }

    /// Runs that the programs noted: task, attempt, process.
    private func ran() throws -> [[String]] {
        let path = own + "/ran.txt"
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let bytes = try readWholeFile(path, on: LocalFileSystem())
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map {
            $0.split(separator: " ").map(String.init)
        }
    }

    private func wait(_ what: String, seconds: Double = 60, until holds: () throws -> Bool) throws {
        let came = try eventuallyBlocking(within: .seconds(seconds), holds)
        try #require(came, "waited for \(what)")
    }

    /// Whether a process lives; one that has ended and was not reaped does not.
    private func isRunning(_ pid: Int32) throws -> Bool {
        let path = "/proc/\(pid)/stat"
        guard FileManager.default.fileExists(atPath: path), let bytes = FileManager.default.contents(atPath: path)
        else {
            return false
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let name = text.lastIndex(of: ")") else { return false }
        return !text[name...].hasPrefix(") Z")
    }

    private func complete(_ client: LineClient) -> Int {
        guard let status = client.ask(#"{"type":"status"}"#), let range = status.range(of: "\"complete\":") else {
            return -1
        }
        return Int(status[range.upperBound...].prefix { $0.isNumber }) ?? -1
    }

    @Test("a worker killed with -9 and started again ends what it left, and every task is completed once")
    func workerKilled() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        try add(8, to: client)
        let first = try startWorker(manager.workers, ["--slots", "2"], program(seconds: 0.4))
        try wait("some ends") { complete(client) >= 2 }
        try wait("two programs that run") { try ran().count >= complete(client) + 2 }
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
        let second = try startWorker(
            manager.workers, ["--slots", "2", "--exit-when-idle", "1s"], program(seconds: 0.1))
        try wait("all ends") { complete(client) == 8 }
        second.waitUntilExit()
        #expect(second.terminationStatus == 0)
        #expect(manager.stop() == 0)
        let rows = String(
            decoding: try readWholeFile(data + "/final_results.csv", on: LocalFileSystem()), as: UTF8.self
        ).split(separator: "\n").dropFirst()
        #expect(rows.count == 8)
        #expect(Set(rows.map { $0.prefix { $0 != "," } }).count == 8)
        for run in try ran() {
            let pid = try #require(Int32(run[2]))
            #expect(try !isRunning(pid), "process \(pid) of \(run[0]) is left")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: own + "/.outbox/w") == ["lock"])
    }

    @Test("a worker killed with -9 and started again takes up the program that runs, and delivers its end")
    func adopted() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        try add(1, to: client)
        let go = own + "/go"
        let script =
            "echo \"$MANAGER_TASK_ID $MANAGER_ATTEMPT $$\" >> \(own)/ran.txt; echo one; "
            + "until [ -e \(go) ]; do sleep 0.02; done; echo two; echo '{{\"value\":7}}' > \"$MANAGER_RESULT_FILE\""
        let first = try startWorker(manager.workers, ["--heartbeat", "1s"], ["sh", "-c", script])
        try wait("the program") { try ran().count == 1 }
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
        let pid = try #require(Int32(try ran()[0][2]))
        let second = try startWorker(manager.workers, ["--heartbeat", "1s"], ["sh", "-c", script])
        try wait("its being taken up") {
            String(decoding: try readWholeFile(log, on: LocalFileSystem()), as: UTF8.self).contains("taken up again")
        }
        #expect(try isRunning(pid))
        #expect(complete(client) == 0)
        try LocalFileSystem().open(go, .createNew).close()
        try wait("the end") { complete(client) == 1 }
        second.terminate()
        second.waitUntilExit()
        #expect(second.terminationStatus == 0)
        #expect(manager.stop() == 0)
        #expect(try ran().count == 1)
        let history = try RunningManager.verb("history", "t0", "--data-dir", data, "--json")
        #expect(history.output.split(separator: "\n").count == 3, "added, assigned, completed: \(history.output)")
        #expect(history.output.contains(#""result":{"value":7}"#))
        let output = try readWholeFile(own + "/results_p/logs/t0.1.log", on: LocalFileSystem())
        #expect(String(decoding: output, as: UTF8.self) == "one\ntwo\n")
        #expect(try FileManager.default.contentsOfDirectory(atPath: own + "/.outbox/w") == ["lock"])
    }

    @Test("with --orphans kill the program that runs is ended and its task given back")
    func orphansKilled() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        try add(1, to: client)
        let first = try startWorker(manager.workers, [], program(seconds: 300))
        try wait("the program") { try ran().count == 1 }
        kill(first.processIdentifier, SIGKILL)
        first.waitUntilExit()
        let second = try startWorker(manager.workers, ["--orphans", "kill"], program(seconds: 0))
        try wait("the second attempt") { complete(client) == 1 }
        second.terminate()
        second.waitUntilExit()
        #expect(manager.stop() == 0)
        #expect(try ran().map { $0[1] } == ["1", "2"])
        #expect(try !isRunning(try #require(Int32(try ran()[0][2]))))
    }

    @Test("a cancelled task's program ends at once, long before the next heartbeat")
    func cancelled() throws {
        let manager = try RunningManager(data)
        try add(1, to: try LineClient(port: manager.workers))
        let worker = try startWorker(manager.workers, ["--heartbeat", "10m"], program(seconds: 300))
        try wait("the program") { try ran().count == 1 }
        let pid = try #require(Int32(try ran()[0][2]))
        #expect(try RunningManager.verb("cancel", "t0", "--data-dir", data).status == 0)
        try wait("its end", seconds: 30) { try !isRunning(pid) }
        worker.terminate()
        worker.waitUntilExit()
        #expect(manager.stop() == 0)
    }

    @Test("what a program writes to its progress file is shown, and no event tells of it")
    func progress() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        try add(1, to: client)
        let script =
            "echo \"$MANAGER_TASK_ID 1 $$\" >> \(own)/ran.txt; echo 'progress: 0.25' > $MANAGER_PROGRESS_FILE; "
            + "echo 'progress: 0.4' >> $MANAGER_PROGRESS_FILE; until [ -e \(own)/go ]; do sleep 0.02; done"
        let worker = try startWorker(manager.workers, ["--heartbeat", "200ms"], ["sh", "-c", script])
        try wait("the progress") {
            try RunningManager.verb("workers", "--json", "--data-dir", data).output.contains(#""progress":0.4"#)
        }
        try LocalFileSystem().open(own + "/go", .createNew).close()
        worker.terminate()
        worker.waitUntilExit()
        #expect(manager.stop() == 0)
        let history = try RunningManager.verb("history", "t0", "--data-dir", data, "--json")
        #expect(history.output.split(separator: "\n").count == 3)
    }

    @Test("while the manager is away the program runs on; its end is delivered when the manager is back")
    func managerKilled() throws {
        let manager = try RunningManager(data)
        let port = manager.workers
        try add(1, to: try LineClient(port: port))
        let worker = try startWorker(port, ["--heartbeat", "1s"], program(seconds: 1.5))
        try wait("the program") { try ran().count == 1 }
        manager.kill()
        try wait("the program's end") {
            try FileManager.default.contentsOfDirectory(atPath: own + "/.outbox/w").contains("t0.1.outcome.json")
        }
        let next = try RunningManager(data, ["--worker-listen", "127.0.0.1:\(port)"])
        let client = try LineClient(port: port)
        try wait("the delivery") { complete(client) == 1 }
        #expect(try ran().count == 1)
        worker.terminate()
        worker.waitUntilExit()
        #expect(worker.terminationStatus == 0)
        #expect(next.stop() == 0)
        let history = try RunningManager.verb("history", "t0", "--data-dir", data, "--json")
        #expect(history.output.split(separator: "\n").count == 3, "added, assigned, completed: \(history.output)")
    }

    @Test("the first SIGTERM finishes the program that runs, the second gives its task back")
    func stopping() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        try add(2, to: client)
        let patient = try startWorker(manager.workers, [], program(seconds: 1))
        try wait("the program") { try ran().count == 1 }
        patient.terminate()
        patient.waitUntilExit()
        #expect(patient.terminationStatus == 0)
        #expect(complete(client) == 1)
        let hasty = try startWorker(manager.workers, [], program(seconds: 300))
        try wait("the second program") { try ran().count == 2 }
        hasty.terminate()
        try wait("the first signal") {
            String(decoding: try readWholeFile(log, on: LocalFileSystem()), as: UTF8.self).contains("no more tasks")
        }
        hasty.terminate()
        hasty.waitUntilExit()
        #expect(client.ask(#"{"type":"status"}"#)?.contains(#""pending":1"#) == true)
        #expect(manager.stop() == 0)
        let tail = try RunningManager.verb("tail", "-n", "10", "--json", "--data-dir", data)
        #expect(tail.output.contains(#""type":"requeued","task":"t1","reason":"returned""#))
    }

    /// What programs may leave at the names that are theirs, and at those that are not.
    private static let mess = [
        "mkdir -p \"$MANAGER_RESULT_FILE\"", "mkdir -p \"$MANAGER_PROGRESS_FILE/a/b\"",
        "rm \"$MANAGER_CONFIG_FILE\"; mkdir -p \"$MANAGER_CONFIG_FILE/x\"; ln -s \"$KEPT\" \"$MANAGER_CONFIG_FILE/x/kept\"",
        "ln -s \"$KEPT\" \"$MANAGER_RESULT_FILE\"", "mkfifo \"$MANAGER_PROGRESS_FILE\"",
        "o=$(dirname \"$MANAGER_RESULT_FILE\"); mkdir -p \"$o/$MANAGER_TASK_ID.1.outcome.json/x\" \"$o/z.1.running.json/x\" "
            + "\"$o/z.1.outcome.json/x\" \"$o/z.1.order.json/x\" \"$o/z.1.keeper.json.tmp/x\"",
    ]

    @Test(
        "whatever a program leaves at its files stops no later start, and links are not followed",
        arguments: [
            "adopt", "kill",
        ])
    func mess(orphans: String) throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        let kept = scratch.path + "/kept"
        try LocalFileSystem().createDirectories(kept)
        try LocalFileSystem().open(kept + "/file", .createNew).close()
        for (number, script) in Self.mess.enumerated() {
            let task = #"{"task_id":"m\#(number)","phase":"p","config":{},"max_retries":0}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("added") == true)
            for command in [["sh", "-c", "KEPT='\(kept)'; \(script)"], ["true"]] {
                let worker = try startWorker(
                    manager.workers, ["--orphans", orphans, "--exit-when-idle", "200ms"], command)
                worker.waitUntilExit()
                let said = String(decoding: try readWholeFile(log, on: LocalFileSystem()), as: UTF8.self)
                #expect(worker.terminationStatus == 0, "\(script): \(said)")
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: own + "/.outbox/w")
            #expect(
                left.allSatisfy {
                    $0 == "lock" || $0 == "z.1.outcome.json.damaged" || $0 == "z.1.running.json.damaged"
                }, "\(script): \(left)")
        }
        #expect(FileManager.default.fileExists(atPath: kept + "/file"))
        #expect(client.ask(#"{"type":"status"}"#)?.contains(#""assigned":0"#) == true)
        #expect(manager.stop() == 0)
    }

    @Test("a directory at its result file stops no second run")
    func messOfARun() throws {
        let run = try SweepRun("p:\n  combinations:\n    - n: [1, 2]\n  max_retries: 0\n", in: scratch.path)
        for _ in 0..<2 {
            let first = try run.start([], script: "mkdir \"$MANAGER_RESULT_FILE\"")
            #expect(first.wait() == 1)
            let said = try first.output()
            #expect(try !first.output().contains("cannot remove"), "\(said)")
            #expect(try LocalFileSystem().list(run.data + "/.outbox").isEmpty)
        }
        try LocalFileSystem().createDirectories(run.data + "/.outbox/x.1.result.json/y")
        let last = try run.start([], script: "true")
        last.wait()
        #expect(try !last.output().contains("cannot remove"))
        #expect(try LocalFileSystem().list(run.data + "/.outbox").isEmpty)
    }

    @Test("a second worker of the same name in the same directory is refused")
    func twice() throws {
        let manager = try RunningManager(data)
        let first = try startWorker(manager.workers, [], ["true"])
        try wait("its outbox") { FileManager.default.fileExists(atPath: own + "/.outbox/w/lock") }
        let second = try RunningManager.verb(
            "worker", "--url", "tcp://127.0.0.1:\(manager.workers)", "--dir", own, "--name", "w", "--", "true")
        #expect(second.status == 1)
        #expect(second.output.contains("give another --name or --dir"))
        first.terminate()
        first.waitUntilExit()
        #expect(manager.stop() == 0)
    }
}
