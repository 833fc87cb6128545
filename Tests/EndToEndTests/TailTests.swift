import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("tail follows", .serialized)
struct TailTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    private func add(_ manager: RunningManager, _ ids: Range<Int>, phase: String = "p") throws {
        let tasks = ids.map { #"{"task_id":"t\#($0)","phase":"\#(phase)","config":{"x":\#($0)}}"# }
        let body = "[\(tasks.joined(separator: ","))]"
        try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", body).status == 200)
    }

    private func tail(_ arguments: String...) throws -> VerbRun {
        try VerbRun(["tail", "--data-dir", data] + arguments)
    }

    /// The numbers of all lines of the journal's own form.
    private func positions(_ text: String) -> [Int] {
        text.split(separator: "\n").compactMap { line in
            line.hasPrefix("{\"seq\":") ? Int(line.dropFirst(7).prefix { $0.isNumber }) : nil
        }
    }

    @Test("without gap or repeat over rotation, compaction, kill -9 and a restart, on the directory and over HTTP")
    func everything() throws {
        var port = 0
        func start() throws -> RunningManager {
            let listen = port == 0 ? [] : ["--listen", "127.0.0.1:\(port)"]
            let manager = try RunningManager(data, ["--segment-bytes", "4000"] + listen)
            port = try #require(Int(manager.http.split(separator: ":").last ?? ""))
            return manager
        }
        var manager = try start()
        let local = try StartedProgram(
            [RunningManager.binary.path, "tail", "-f", "--from", "1", "--json", "--data-dir", data],
            outputPath: scratch.path + "/local")
        let remote = try StartedProgram(
            [RunningManager.binary.path, "tail", "-f", "--from", "1", "--json", "--url", manager.http],
            outputPath: scratch.path + "/remote")
        var next = 0
        for round in 0..<6 {
            for _ in 0..<12 {
                try add(manager, next..<(next + 7))
                next += 7
            }
            #expect(try HTTPCaller.call(manager.http, "POST", "/compact", "{}").status == 200)
            try add(manager, next..<(next + 30))
            next += 30
            switch round % 3 {
            case 0:
                manager.kill()
                manager = try start()
            case 1:
                #expect(manager.stop() == 0)
                manager = try start()
            default: continue
            }
        }
        try add(manager, next..<(next + 1))
        let mark = "\"t\(next)\""
        for follower in [local, remote] {
            #expect(try eventuallyBlocking { try follower.output().contains(mark) })
            #expect(follower.isRunning)
        }
        let all = try tail("--json", "--from", "1").output
        let last = try #require(positions(all).last)
        for follower in [local, remote] {
            #expect(positions(try follower.output()) == Array(1...last))
        }
        #expect(manager.stop() == 0)
    }

    @Test("-n, --type, --phase, --worker, --since and --seq say which events; a copy of the directory is as good")
    func filters() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "1500"])
        try add(manager, 0..<20)
        try add(manager, 20..<25, phase: "q")
        let claim = try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#)
        #expect(claim.status == 200)
        let failed = try HTTPCaller.call(
            manager.http, "POST", "/tasks/t0/fail", #"{"worker":"w","attempt":1,"error":"boom"}"#)
        #expect(failed.status == 200)
        let all = try tail("--json", "--from", "1").output.split(separator: "\n")
        for count in [0, 1, 10, 27, 1000] {
            #expect(try tail("--json", "-n", "\(count)").output.split(separator: "\n") == all.suffix(count))
        }
        #expect(positions(try tail("--json", "--type", "failed", "--type", "assigned").output).count == 2)
        #expect(positions(try tail("--json", "--phase", "q", "-n", "100").output).count == 5)
        #expect(positions(try tail("--json", "--phase", "p", "--type", "requeued").output).count == 1)
        #expect(positions(try tail("--json", "--worker", "w").output).count == 2)
        #expect(try tail("--json", "--since", "2h").output.split(separator: "\n") == all)
        #expect(try tail("--json", "--since", "-0s").output == "")
        #expect(positions(try tail("--json", "--seq", "7", "-n", "3").output) == [5, 6, 7])
        #expect(try tail("-f", "--seq", "7").status == 64)
        let none = try tail("--task", "t99", "--worker", "w")
        #expect(none.status == 0 && none.output.isEmpty)
        #expect(none.errors == "manager: there is no such event of task 't99' and worker 'w'\n")
        let remote = ["--url", manager.http]
        #expect(
            try VerbRun(["tail", "--json", "--phase", "q", "-n", "3"] + remote).output.split(separator: "\n").count == 3
        )
        #expect(try VerbRun(["tail", "--json", "-n", "4"] + remote).output.split(separator: "\n") == all.suffix(4))
        #expect(try VerbRun(["tail", "--seq", "7", "-n", "2"] + remote).output.contains("#7  added"))
        let copy = scratch.path + "/copy"
        try FileManager.default.copyItem(atPath: data, toPath: copy)
        #expect(try VerbRun(["tail", "--data-dir", copy, "-n", "2"]).output == tail("-n", "2").output)
        #expect(manager.stop() == 0)
    }
}
