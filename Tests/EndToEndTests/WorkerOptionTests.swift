import EventLog
import Foundation
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Testing

@testable import manager

@Suite("Options of a worker", .serialized) struct WorkerOptionTests {
    private let scratch: TemporaryDirectory
    private let manager: RunningManager
    private var own: String { scratch.path + "/worker" }

    init() throws {
        scratch = try TemporaryDirectory()
        for name in ["/data", "/worker", "/bin"] { try LocalFileSystem().createDirectories(scratch.path + name) }
        manager = try RunningManager(scratch.path + "/data")
    }

    private func add(_ count: Int) throws {
        let tasks = (0..<count).map { #"{"task_id":"t\#($0)","phase":"p","config":{}}"# }
        let answer = try HTTPCaller.call(manager.http, "POST", "/tasks", "[\(tasks.joined(separator: ","))]")
        try #require(answer.status == 200)
    }

    private func worker(_ options: [String], path: String? = nil, script: String) throws -> StartedProgram {
        let environment = path.map { ["env", "PATH=" + $0] } ?? []
        return try StartedProgram(
            environment + [
                RunningManager.binary.path, "worker", "--url", "tcp://127.0.0.1:\(manager.workers)", "--dir", own,
                "--name", "w", "--exit-when-idle", "1s",
            ] + options + ["--", "/bin/sh", "-c", script], outputPath: scratch.path + "/worker.out")
    }

    private func assigned() throws -> [[String: Any]] {
        let lines = try HTTPCaller.call(manager.http, "GET", "/events?type=assigned").body.split(separator: "\n")
        return try lines.compactMap { try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] }
    }

    /// Notes its GPU and that GPU's lock once as many programs run at once as there are slots.
    private func meeting(_ count: Int) -> String {
        "mkdir -p met; : > met/$MANAGER_TASK_ID; until [ \"$(ls met | wc -l)\" -ge \(count) ]; do sleep 0.02; done; "
            + "printf '{{\"gpu\":%s,\"lock\":%s}}' \"$CUDA_VISIBLE_DEVICES\" "
            + "\"$(cat .gpu_locks/gpu_$CUDA_VISIBLE_DEVICES.lock)\" > \"$MANAGER_RESULT_FILE\""
    }

    private func expectSlots(_ gpus: [Int], of worker: StartedProgram) throws {
        let (status, said) = (worker.wait(), try worker.output())
        #expect(status == 0, "\(said)")
        let events = try assigned()
        #expect(events.compactMap { $0["worker"] as? String }.sorted() == gpus.map { "w-gpu\($0)" })
        #expect(events.compactMap { $0["gpu"] as? Int }.sorted() == gpus)
        let answer = try HTTPCaller.call(manager.http, "GET", "/results").body
        let rows = try #require(try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [[String: Any]])
        let results = rows.compactMap { $0["result"] as? [String: Any] }
        #expect(results.compactMap { $0["gpu"] as? Int }.sorted() == gpus)
        #expect(results.allSatisfy { $0["lock"] as? Int == Int(worker.pid) }, "\(results)")
        #expect(try LocalFileSystem().list(own + "/.gpu_locks").isEmpty)
    }

    @Test func `--gpus 0,2 makes one slot a GPU, each locked and told to its programs`() throws {
        try add(2)
        try expectSlots([0, 2], of: try worker(["--gpus", "0,2"], script: "cd '\(own)'; " + meeting(2)))
    }

    @Test func `--gpus all takes those that nvidia-smi names`() throws {
        let tool = scratch.path + "/bin/nvidia-smi"
        try "#!/bin/sh\nprintf '0\\n1\\n3\\n'\n".write(toFile: tool, atomically: true, encoding: .utf8)
        chmod(tool, 0o755)
        try add(3)
        let path = scratch.path + "/bin:/usr/bin:/bin"
        try expectSlots(
            [0, 1, 3], of: try worker(["--gpus", "all"], path: path, script: "cd '\(own)'; " + meeting(3)))
    }

    @Test func `--gpus without nvidia-smi, or beside --gpu or --slots, is refused with what to do`() throws {
        let missing = try worker(["--gpus", "all"], path: scratch.path + "/bin", script: "true")
        #expect(missing.wait() == 1)
        #expect(try missing.output().contains("--gpus all: nvidia-smi cannot be run here; name them: --gpus 0,1"))
        for more in [["--gpu", "1"], ["--slots", "2"]] {
            let both = try worker(["--gpus", "0"] + more, script: "true")
            #expect(both.wait() == 64)
            #expect(try both.output().contains("give --gpus alone"))
        }
        #expect(try LocalFileSystem().metadata(own + "/.gpu_locks") == nil)
    }

    @Test(arguments: ["0s", "1ms", "99ms", "25h", "30d"])
    func `an interval of heartbeats that no manager takes is wrong usage`(interval: String) throws {
        let refused = try worker(["--heartbeat", interval], script: "true")
        #expect(refused.wait() == 64)
        #expect(try refused.output().contains("--heartbeat is \(interval): 100ms to 24h are allowed"))
    }

    @Test(arguments: ["100ms", "24h"]) func `the shortest and the longest interval of heartbeats work`(
        interval: String
    ) throws {
        try add(1)
        let worker = try worker(["--heartbeat", interval, "--max-tasks", "1"], script: "true")
        let status = worker.wait()
        let said = try worker.output()
        #expect(status == 0, "\(said)")
        #expect(try assigned().count == 1)
    }

    @Test(arguments: ["adopt", "kill"])
    func `--log-bytes begins a log anew, and keeps the one before`(orphans: String) throws {
        try add(1)
        // Each block of lines is a piece of its own, two are more than the log may have.
        let script =
            "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); "
            + "if [ $((i % 600)) = 0 ]; then sleep 0.1; fi; done"
        let worker = try worker(["--log-bytes", "10000", "--orphans", orphans], script: script)
        let (status, said) = (worker.wait(), try worker.output())
        #expect(status == 0, "\(said)")
        func text(_ name: String) throws -> String {
            let file = own + "/results_p/logs/" + name
            return String(decoding: try readWholeFile(file, on: LocalFileSystem()), as: UTF8.self)
        }
        let (last, before) = (try text("t0.1.log"), try text("t0.1.log.1"))
        #expect(last.hasSuffix("line 2999\n"))
        let lines = (before + last).split(separator: "\n")
        let first = try #require(lines.dropFirst().first.flatMap { Int($0.dropFirst("line ".count)) })
        // Nothing is lost between the two.
        #expect(lines.dropFirst().map(String.init) == (first..<3000).map { "line \($0)" })
        #expect(first < 2400 && !before.hasPrefix("line 0\n"))
        #expect(try LocalFileSystem().list(own + "/results_p/logs").count == 2)
    }

    @Test func `a connection that reached its own end is no manager`() async throws {
        // What happens by chance at a port of the system's own range that nobody listens to, made to happen.
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let bound = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #expect(withLoopback(0) { bind(bound, $0, $1) } == 0)
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(bound, $0, &length) }
        }
        let port = UInt16(bigEndian: address.sin_port)
        #expect(withLoopback(port) { connect(bound, $0, $1) } == 0)
        let channel = try await ClientBootstrap(group: loop).withConnectedSocket(bound).get()
        #expect(channel.localAddress == channel.remoteAddress)
        await #expect(throws: IOError.self) { try await FastFormConnection.refuseItself(channel) }
        #expect(!channel.isActive)
        // The port is free again for the manager that is to listen there, and another's connection is taken.
        let next = try await ServerBootstrap(group: loop).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .bind(host: "127.0.0.1", port: Int(port)).get()
        let other = try await ClientBootstrap(group: loop).connect(host: "127.0.0.1", port: Int(port)).get()
        try await FastFormConnection.refuseItself(other)
        #expect(other.isActive)
        try await other.close()
        try await next.close()
    }
}
