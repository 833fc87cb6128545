import EventLog
import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite("A GPU's lock on the disk") struct GPULockTests {
    private let scratch: TemporaryDirectory
    private let disk = LocalFileSystem()
    private let processes = ProcessTable()
    private var locks: String { scratch.path + "/.gpu_locks" }

    init() throws {
        scratch = try TemporaryDirectory()
        try disk.createDirectories(locks)
    }

    private func folder(
        as asker: GPULockOwner? = nil, on fileSystem: (any FileSystem)? = nil
    ) throws -> GPULockFolder {
        GPULockFolder(
            directory: locks, fileSystem: fileSystem ?? disk, processes: processes,
            asker: try asker ?? GPULockOwner.ofThisProcess(processes))
    }

    private func write(_ text: String, to name: String) throws {
        let file = try disk.open("\(locks)/\(name)", .replace)
        try writeAll(Array(text.utf8), to: file, at: 0)
        file.close()
    }

    private func text(_ name: String) throws -> String? {
        guard try disk.metadata("\(locks)/\(name)") != nil else { return nil }
        return String(decoding: try readWholeFile("\(locks)/\(name)", on: disk), as: UTF8.self)
    }

    private func sleeper() throws -> StartedProgram {
        try StartedProgram(["sleep", "1000"], outputPath: scratch.path + "/sleeper.out")
    }

    /// The claim of a process of this machine that has ended.
    private func ended() throws -> GPULockOwner {
        let program = try sleeper()
        program.end(by: SIGKILL)
        var owner = try GPULockOwner.ofThisProcess(processes)
        owner.pid = program.pid
        return owner
    }

    private func refusal(_ gpu: Int = 0) throws -> String {
        let folder = try folder()
        return try #require(throws: GPULockError.self) { _ = try folder.take(gpu) }.description
    }

    @Test func `a claim is the process id and nothing else, with host and start beside it, and leaves nothing`() throws
    {
        let lock = try folder().take(0)
        #expect(try text("gpu_0.lock") == "\(getpid())")
        let line = try #require(try text("gpu_0.owner"))
        let owner = try #require(GPULockOwner(json: Array(line.utf8)))
        #expect(owner.pid == getpid() && owner.host == hostName())
        #expect(owner.startTicks == processes.entry(getpid())?.startTicks)
        #expect(try disk.list(locks) == ["gpu_0.lock", "gpu_0.owner"])
        try lock.release()
        try lock.release()
        #expect(try disk.list(locks).isEmpty)
    }

    @Test func `the lock of a worker that has died is left to its program's keeper for some looks`() throws {
        let dead = try ended()
        func leave() throws {
            try write("\(dead.pid)", to: "gpu_0.lock")
            try write(String(decoding: dead.json, as: UTF8.self), to: "gpu_0.owner")
        }
        try leave()
        let program = try sleeper()
        defer { program.end(by: SIGKILL) }
        var other = try GPULockOwner.ofThisProcess(processes)
        other.pid = program.pid
        other.startTicks = processes.entry(program.pid)?.startTicks ?? 0
        let keeper = try folder()
        let inherited = Mutex<GPULock?>(nil)
        var late = try folder(as: other)
        late.looksForHeirs = 5
        late.pause = {
            inherited.withLock { lock in
                do { if lock == nil { lock = try keeper.take(0) } } catch { Issue.record(error) }
            }
        }
        let refused = try #require(throws: GPULockError.self) { _ = try late.take(0) }
        #expect(refused.description.contains("process \(getpid())"), "\(refused)")
        try inherited.withLock { $0 }?.release()
        // Where nobody comes, the lock is taken over after all.
        try leave()
        late.pause = {}
        let lock = try late.take(0)
        #expect(try text("gpu_0.lock") == "\(program.pid)")
        try lock.release()
    }

    @Test func `a GPU that is held is refused with pid, host and since when; another one is not`() throws {
        let lock = try folder().take(0)
        let line = try #require(try text("gpu_0.owner"))
        let owner = try #require(GPULockOwner(json: Array(line.utf8)))
        let sentence = try refusal()
        #expect(sentence.contains("GPU 0 is held by process \(getpid()) on \(hostName()) since \(owner.since)"))
        let other = try folder().take(1)
        try other.release()
        try lock.release()
        try folder().take(0).release()
    }

    @Test func `a worker that leaves only its pid is respected while it lives, and not afterwards`() throws {
        let worker = try sleeper()
        try write("\(worker.pid)\n", to: "gpu_0.lock")
        let sentence = try refusal()
        let started = try #require(processes.startTime(of: worker.pid))
        #expect(abs(LogTime.now().seconds(since: started)) < 60)
        #expect(sentence.contains("process \(worker.pid) on \(hostName()), which runs since \(started)"))
        #expect(try text("gpu_0.lock") == "\(worker.pid)\n")
        #expect(try disk.list(locks) == ["gpu_0.lock"])
        worker.end(by: SIGKILL)
        let lock = try folder().take(0)
        #expect(try text("gpu_0.lock") == "\(getpid())")
        try lock.release()
    }

    @Test func `a number that has come to mean another process is taken over`() throws {
        let worker = try sleeper()
        var owner = try GPULockOwner.ofThisProcess(processes)
        owner.pid = worker.pid
        owner.startTicks = try #require(processes.entry(worker.pid)?.startTicks)
        try write("\(worker.pid)", to: "gpu_0.lock")
        try write(String(decoding: owner.json, as: UTF8.self), to: "gpu_0.owner")
        #expect(try refusal().contains("process \(worker.pid)"))
        owner.startTicks = owner.startTicks.map { $0 - 1 }
        try write(String(decoding: owner.json, as: UTF8.self), to: "gpu_0.owner")
        try folder().take(0).release()
        #expect(worker.isRunning)
    }

    @Test func `the number of a thread is no process' claim`() throws {
        let thread = try #require(
            try disk.list("/proc/self/task").compactMap { Int32($0) }.first { $0 != getpid() })
        try write("\(thread)", to: "gpu_0.lock")
        try folder().take(0).release()
    }

    @Test func `another host's lock stays, and the error says what to do`() throws {
        var owner = try ended()
        owner.host = "elsewhere"
        try write("\(owner.pid)", to: "gpu_0.lock")
        try write(String(decoding: owner.json, as: UTF8.self), to: "gpu_0.owner")
        let sentence = try refusal()
        #expect(sentence.contains("process \(owner.pid) on elsewhere since \(owner.since)"))
        #expect(sentence.contains("if it has ended, remove \(locks)/gpu_0.lock"))
        #expect(try text("gpu_0.lock") == "\(owner.pid)")
        #expect(try text("gpu_0.owner") == String(decoding: owner.json, as: UTF8.self))
    }

    @Test func `a file that holds no process id stays, and the error shows it`() throws {
        try write("reserved for Ada", to: "gpu_0.lock")
        #expect(try refusal().contains(#"gpu_0.lock holds no process id but "reserved for Ada""#))
        #expect(try text("gpu_0.lock") == "reserved for Ada")
        #expect(try disk.list(locks) == ["gpu_0.lock"])
    }

    @Test func `an empty file is waited for, then taken`() throws {
        try write("", to: "gpu_0.lock")
        let looks = Mutex(0)
        var folder = try folder()
        folder.pause = { looks.withLock { $0 += 1 } }
        let lock = try folder.take(0)
        #expect(looks.withLock { $0 } == GPULockFolder.looks)
        try lock.release()
    }

    @Test func `a worker that writes its pid into the file meanwhile has it`() throws {
        let worker = try sleeper()
        try write("", to: "gpu_0.lock")
        var folder = try folder()
        let (path, pid) = ("\(locks)/gpu_0.lock", worker.pid)
        folder.pause = {
            do throws(FileError) {
                let file = try LocalFileSystem().open(path, .update)
                try writeAll(Array("\(pid)".utf8), to: file, at: 0)
            } catch { Issue.record(error) }
        }
        let error = #expect(throws: GPULockError.self) { _ = try folder.take(0) }
        #expect(error?.description.contains("process \(pid)") == true)
    }

    @Test func `a lock that somebody has written over, or put in our place, is not removed but told of`() throws {
        let worker = try sleeper()
        for replaces in [false, true] {
            let lock = try folder().take(0)
            if replaces { try disk.remove("\(locks)/gpu_0.lock") }
            let file = try disk.open("\(locks)/gpu_0.lock", .replace)
            try writeAll(Array("\(worker.pid)".utf8), to: file, at: 0)
            #expect(try lock.release() == .pid(worker.pid))
            #expect(lock.sentence(on: .pid(worker.pid)).contains("GPU 0 was written over by process \(worker.pid)"))
            #expect(try text("gpu_0.lock") == "\(worker.pid)")
            #expect(try disk.list(locks) == ["gpu_0.lock"])
            try disk.remove("\(locks)/gpu_0.lock")
        }
    }

    @Test func `a process that has ended but was not waited for holds nothing`() throws {
        var pid = pid_t()
        let program = strdup("true")
        defer { free(program) }
        #expect(posix_spawnp(&pid, "true", nil, nil, [program, nil], environ) == 0)
        defer { waitpid(pid, nil, 0) }
        #expect(try eventuallyBlocking { processes.entry(pid)?.isAlive == false })
        try write("\(pid)", to: "gpu_0.lock")
        try folder().take(0).release()
    }

    @Test func `of many that find a stale lock exactly one wins`() throws {
        for _ in 0..<30 {
            let dead = try ended()
            try write("\(dead.pid)", to: "gpu_0.lock")
            try write(String(decoding: dead.json, as: UTF8.self), to: "gpu_0.owner")
            let folder = try folder()
            let outcome = Mutex<(winners: [GPULock], losers: Int)>(([], 0))
            DispatchQueue.concurrentPerform(iterations: 6) { _ in
                do throws(GPULockError) {
                    let lock = try folder.take(0)
                    outcome.withLock { $0.winners.append(lock) }
                } catch { outcome.withLock { $0.losers += 1 } }
            }
            let (winners, losers) = outcome.withLock { $0 }
            #expect(winners.count == 1 && losers == 5)
            for lock in winners { try lock.release() }
            #expect(try disk.list(locks).isEmpty)
        }
    }

    @Test func `at no moment two have it, however often it is taken and given back`() throws {
        let folder = try folder()
        let holders = Mutex<(now: Int, most: Int, taken: Int)>((0, 0, 0))
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            for _ in 0..<200 {
                do throws(GPULockError) {
                    let lock = try folder.take(0)
                    holders.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                        $0.taken += 1
                    }
                    holders.withLock { $0.now -= 1 }
                    do throws(FileError) { try lock.release() } catch { Issue.record(error) }
                } catch { continue }
            }
        }
        let seen = holders.withLock { $0 }
        #expect(seen.most == 1 && seen.taken >= 4)
        #expect(try disk.list(locks).isEmpty)
    }

    @Test func `whatever call a claim dies in, the next one finds no claim and leaves nothing`() throws {
        let (stale, dying) = (try ended(), try ended())
        var calls = 1
        while true {
            try write("\(stale.pid)", to: "gpu_0.lock")
            try write(String(decoding: stale.json, as: UTF8.self), to: "gpu_0.owner")
            let failing = FailingFileSystem(failingCall: calls)
            var survived = false
            let dyingFolder = try folder(as: dying, on: failing)
            do throws(GPULockError) {
                let lock = try dyingFolder.take(0)
                try release(lock)
                survived = failing.changingCalls < calls
            } catch {
                guard case .file = error else { throw error }
            }
            if survived { break }
            let lock = try folder().take(0)
            #expect(try text("gpu_0.lock") == "\(getpid())", "\(failing.log)")
            try lock.release()
            #expect(try disk.list(locks).isEmpty, "\(failing.log)")
            calls += 1
        }
        #expect(calls > 10)
    }

    private func release(_ lock: GPULock) throws(GPULockError) {
        do throws(FileError) { try lock.release() } catch { throw .file(error) }
    }

    @Test func `of several GPUs none is kept when one is held, and the free ones are named`() throws {
        let worker = try sleeper()
        try write("\(worker.pid)", to: "gpu_1.lock")
        let folder = try folder()
        let error = try #require(throws: GPUsNotTaken.self) { _ = try GPULockSet([0, 1, 2], in: folder) }
        #expect(error.free == [0, 2] && error.errors.count == 1)
        #expect(error.description.contains("GPU 1 is held by process \(worker.pid)"))
        #expect(error.description.hasSuffix("free: --gpus 0,2"))
        #expect(try disk.list(locks) == ["gpu_1.lock"])
    }
}
