import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// Whose a GPU is when the worker that locked it was killed, and its program runs on under its keeper.
@Suite("GPUs of killed workers", .serialized) struct GPUSuccessionTests {
    private let scratch: TemporaryDirectory
    private let manager: RunningManager
    private var own: String { scratch.path + "/worker" }
    private var lock: String { own + "/.gpu_locks/gpu_3.lock" }

    init() throws {
        scratch = try TemporaryDirectory()
        for name in ["/data", "/worker"] { try LocalFileSystem().createDirectories(scratch.path + name) }
        manager = try RunningManager(scratch.path + "/data")
    }

    private func worker(_ name: String, _ options: String...) throws -> StartedProgram {
        try StartedProgram(
            [
                RunningManager.binary.path, "worker", "--url", "tcp://127.0.0.1:\(manager.workers)", "--dir", own,
                "--name", name, "--gpu", "3",
            ] + options + [
                "--", "/bin/sh", "-c",
                "echo $MANAGER_TASK_ID >> '\(own)/ran'; until [ -e '\(own)'/go-$MANAGER_TASK_ID ]; do sleep 0.02; done",
            ], outputPath: "\(scratch.path)/\(name).out")
    }

    private func add(_ ids: String...) throws {
        for id in ids {
            let task = #"{"task_id":"\#(id)","phase":"p","config":{}}"#
            try #require(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        }
    }

    private func text(_ path: String) throws -> String? {
        do throws(FileError) {
            return String(decoding: try readWholeFile(path, on: LocalFileSystem()), as: UTF8.self)
        } catch {
            guard error.isNotFound else { throw error }
            return nil
        }
    }

    private func go(_ id: String) throws { try LocalFileSystem().open(own + "/go-" + id, .createNew).close() }

    private func status(_ id: String) throws -> String? {
        try HTTPCaller.call(manager.http, "GET", "/tasks/\(id)")["status"] as? String
    }

    /// The process that keeps a task's program.
    private func keeper(_ id: String, of worker: String) throws -> Int? {
        guard let line = try text("\(own)/.outbox/\(worker)/\(id).1.keeper.json") else { return nil }
        return (try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?["pid"] as? Int
    }

    private func expectDone(_ worker: StartedProgram) throws {
        let status = worker.wait()
        let said = try worker.output()
        #expect(status == 0, "\(said)")
    }

    /// A worker that was killed while it ran `a`; the keeper's process.
    private func killed() throws -> Int {
        try add("a")
        let first = try worker("w")
        try #require(try eventuallyBlocking { try text(own + "/ran") == "a\n" })
        #expect(try text(lock) == "\(first.pid)")
        let keeper = try #require(try keeper("a", of: "w"))
        first.end(by: SIGKILL)
        return keeper
    }

    @Test func `the keeper has the lock while its worker is dead, others are refused, the next start takes all up`()
        throws
    {
        let keeper = try killed()
        #expect(try eventuallyBlocking { try text(lock) == "\(keeper)" })
        let other = try worker("other")
        #expect(other.wait() == 1)
        #expect(try other.output().contains("GPU 3 is held by process \(keeper) on "))
        try add("b")
        let second = try worker("w", "--max-tasks", "1")
        #expect(try eventuallyBlocking { try second.output().contains("taken up again") })
        #expect(try text(lock) == "\(keeper)")
        #expect(try text(own + "/ran") == "a\n")
        try go("a")
        #expect(try eventuallyBlocking { try text(own + "/ran") == "a\nb\n" })
        #expect(try status("a") == "complete")
        #expect(try text(lock) == "\(second.pid)")
        try go("b")
        try expectDone(second)
        #expect(try status("b") == "complete")
        #expect(try LocalFileSystem().list(own + "/.gpu_locks").isEmpty)
        #expect(manager.stop() == 0)
    }

    @Test func `a keeper whose worker does not come back gives the GPU back at its program's end`() throws {
        let keeper = try killed()
        #expect(try eventuallyBlocking { try text(lock) == "\(keeper)" })
        try go("a")
        #expect(try eventuallyBlocking { try text(own + "/.outbox/w/a.1.outcome.json") != nil })
        #expect(try eventuallyBlocking { try LocalFileSystem().list(own + "/.gpu_locks").isEmpty })
        try add("b")
        try go("b")
        let other = try worker("other", "--exit-when-idle", "200ms")
        try expectDone(other)
        let second = try worker("w", "--exit-when-idle", "200ms")
        try expectDone(second)
        #expect(try status("a") == "complete")
        #expect(try status("b") == "complete")
        #expect(manager.stop() == 0)
    }

    @Test func `a worker that is killed once more leaves the GPU with the keeper`() throws {
        let keeper = try killed()
        let second = try worker("w")
        #expect(try eventuallyBlocking { try second.output().contains("taken up again") })
        second.end(by: SIGKILL)
        #expect(try eventuallyBlocking { try text(lock) == "\(keeper)" })
        let third = try worker("w", "--orphans", "kill", "--exit-when-idle", "1s")
        try go("a")
        try expectDone(third)
        #expect(try status("a") == "complete")
        #expect(try LocalFileSystem().list(own + "/.gpu_locks").isEmpty)
        #expect(manager.stop() == 0)
    }
}
