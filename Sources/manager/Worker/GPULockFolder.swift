import EventLog
import Glibc

/// The GPU locks of one data directory: `.gpu_locks/gpu_N.lock` and, beside it, `gpu_N.owner`.
///
/// The lock is what all workers agree on: it holds the claimant's process id and nothing else, so workers of other
/// makers read it and are read. The owner's file is the managers' own: its line tells whose id that is, and `flock` on
/// it, held for as long as the claim lasts, is the guard: whoever has it is the only manager that takes, holds or gives
/// back this GPU. The kernel gives a guard free when its process ends, so a guard is never stale, and of several
/// managers that find a stale lock exactly one goes on.
///
/// Other makers' workers know no guard. Against them the lock appears by `link`, whole and only where none stands; it
/// is taken away by `rename`, so that one that came after our look is noticed, and put back.
///
/// Order of effects of a claim, with the guard; each is durable before the next. Power lost after it, the next start
/// finds:
/// 1. `gpu_N.lock.tmp` with our id: nothing that counts; written anew by the next claim.
/// 2. a stale lock away, maybe still under `gpu_N.lock.stale`, which the next claim removes: no lock; an owner's line
///    alone means nothing.
/// 3. the owner's line: no lock, likewise. (Before 2 it would take the stale lock's owner from it.)
/// 4. the lock, linked; the temporary name removed: a lock of an earlier start of this machine; taken over.
///
/// Giving back: the lock removed if it is still ours, durable; then the owner's file; then the guard. So a lock of ours
/// never stands without its owner's line. Calls block.
struct GPULockFolder: Sendable {
    /// The directory's path.
    let directory: String
    /// The door to the disk.
    let fileSystem: any FileSystem
    /// The processes of this machine.
    let processes: ProcessTable
    /// Who asks.
    let asker: GPULockOwner
    /// Waits before another look; by default 10 ms.
    var pause: @Sendable () -> Void = { usleep(10_000) }

    /// For how many looks the lock of a worker that has died is left to the keeper of its program, which notices the death
    /// and takes the lock over within milliseconds. 0 for keepers.
    var looksForHeirs = 0

    /// How often somebody else's claim, or a lock without content, is looked at again before that is judged.
    static let looks = 100

    /// The lock's path.
    func lockPath(_ gpu: Int) -> String { "\(directory)/gpu_\(gpu).lock" }
    /// The path of the owner's line.
    func ownerPath(_ gpu: Int) -> String { "\(directory)/gpu_\(gpu).owner" }

    /// Claims a GPU. Throws when somebody else holds it (at once), or when that cannot be told (after a second).
    func take(_ gpu: Int) throws(GPULockError) -> GPULock {
        do throws(FileError) { try fileSystem.createDirectories(directory) } catch { throw .file(error) }
        // Each further look found somebody else's doing; when that goes on and on the GPU is in use.
        for look in 0...(2 * Self.looks) {
            let step: Step
            do throws(FileError) {
                step = try tryOnce(gpu, mayWait: look < Self.looks, mayHaveHeirs: look < looksForHeirs)
            } catch { throw .file(error) }
            switch step {
            case .taken(let lock): return lock
            case .refused(let refusal): throw refused(gpu, refusal)
            case .again: pause()
            }
        }
        throw refused(gpu, .contended)
    }

    private func refused(_ gpu: Int, _ refusal: GPULockDecision.Refusal) -> GPULockError {
        var started: LogTime?
        if case .held(let pid, nil) = refusal { started = processes.startTime(of: pid) }
        return .refused(gpu: gpu, path: lockPath(gpu), refusal, host: asker.host, processStarted: started)
    }

    // MARK: - The guard

    /// The owner's file, opened, and whether the guard is ours.
    private struct Door {
        let file: any File
        let isOurs: Bool
    }

    /// Opens the owner's file and tries to lock it. A file that was removed meanwhile guards nothing: whoever locks it
    /// looks whether the name still means it.
    private func openGuard(_ gpu: Int) throws(FileError) -> Door {
        while true {
            let file = try fileSystem.open(ownerPath(gpu), .update)
            do throws(FileError) {
                guard try file.tryLock() else { return Door(file: file, isOurs: false) }
                let identity = try file.identity()
                if try fileSystem.metadata(ownerPath(gpu))?.identity == identity {
                    return Door(file: file, isOurs: true)
                }
            } catch {
                file.close()
                throw error
            }
            file.close()
        }
    }

    /// Gives the guard back without a claim; an owner's file that only the guard needed goes.
    private func close(_ door: Door, _ gpu: Int) throws(FileError) {
        defer { door.file.close() }
        guard door.isOurs, try door.file.sizeBytes() == 0 else { return }
        try fileSystem.remove(ownerPath(gpu))
    }

    // MARK: - The claim

    private enum Step {
        case taken(GPULock)
        case refused(GPULockDecision.Refusal)
        case again
    }

    /// Looks, decides and acts.
    private func tryOnce(_ gpu: Int, mayWait: Bool, mayHaveHeirs: Bool) throws(FileError) -> Step {
        let door = try openGuard(gpu)
        do throws(FileError) {
            let facts = try look(gpu, door, mayWait: mayWait)
            switch GPULockDecision.decide(facts) {
            case .wait: break
            // Only a manager's worker writes an owner's line, and only such a one has keepers.
            case .takeOver(.processEnded) where mayHaveHeirs && facts.owner != nil: break
            case .refuse(let refusal):
                try close(door, gpu)
                return .refused(refusal)
            case .take:
                if let lock = try claim(gpu, door) { return .taken(lock) }
            case .takeOver:
                if try removeLock(lockPath(gpu), ifStill: facts.content) {
                    try fileSystem.syncDirectory(directory)
                    if let lock = try claim(gpu, door) { return .taken(lock) }
                }
            }
            try close(door, gpu)
            return .again
        } catch {
            door.file.close()
            throw error
        }
    }

    /// Claims a GPU that has no lock, with the guard; nil when a worker that knows no guard came first.
    private func claim(_ gpu: Int, _ door: Door) throws(FileError) -> GPULock? {
        let path = lockPath(gpu)
        try removeIfPresent(path + ".stale")
        let identity = try writeTemporary(path)
        try door.file.truncate(toBytes: 0)
        try writeAll(asker.json, to: door.file, at: 0)
        try door.file.sync()
        try fileSystem.syncDirectory(directory)
        let isLinked = try link(path + ".tmp", to: path)
        try fileSystem.remove(path + ".tmp")
        try fileSystem.syncDirectory(directory)
        // A worker that looked before us may also write over ours without asking: then it has the GPU.
        if isLinked, try content(path) == .pid(asker.pid) {
            return GPULock(gpu: gpu, folder: self, guarded: door.file, identity: identity)
        }
        try door.file.truncate(toBytes: 0)
        return nil
    }

    private func look(_ gpu: Int, _ door: Door, mayWait: Bool) throws(FileError) -> GPULockFacts {
        let content = try content(lockPath(gpu))
        var process = GPULockFacts.Process.none
        if case .pid(let pid) = content { process = try self.process(pid) }
        let line = try readBytes(of: door.file, at: 0, count: 4096)
        return GPULockFacts(
            content: content, owner: GPULockOwner(json: line), isGuardedByAnother: !door.isOurs, process: process,
            mayWait: mayWait, asker: asker)
    }

    private func process(_ pid: Int32) throws(FileError) -> GPULockFacts.Process {
        if let entry = processes.entry(pid) {
            // A thread's number leads to an entry too, but is not listed; it is no process' claim.
            guard entry.isAlive, try fileSystem.list(processes.root).contains(String(pid)) else { return .none }
            return .alive(startTicks: entry.startTicks)
        }
        // Where /proc hides other users' processes, the kernel still tells that they are there.
        return kill(pid, 0) == 0 || errno == EPERM ? .alive(startTicks: nil) : .none
    }

    private func writeTemporary(_ path: String) throws(FileError) -> FileIdentity {
        let file = try fileSystem.open(path + ".tmp", .replace)
        defer { file.close() }
        try writeAll(Array(String(asker.pid).utf8), to: file, at: 0)
        try file.sync()
        return try file.identity()
    }

    // MARK: - The lock

    /// What stands in a lock.
    func content(_ path: String) throws(FileError) -> GPULockContent {
        do throws(FileError) {
            let file = try fileSystem.open(path, .read)
            defer { file.close() }
            return GPULockContent(try readBytes(of: file, at: 0, count: GPULockContent.lookedAtBytes))
        } catch {
            if error.isNotFound { return .absent }
            throw error
        }
    }

    /// Removes a lock if this (still) stands in it; false where something else does, which stays.
    func removeLock(_ path: String, ifStill meant: GPULockContent) throws(FileError) -> Bool {
        let aside = path + ".stale"
        do throws(FileError) { try fileSystem.rename(path, to: aside) } catch {
            if error.isNotFound { return false }
            throw error
        }
        let isMeant = try content(aside) == meant
        // Else it came between our look and the rename: it is put back. Where a third one stands by now, that one has
        // the GPU.
        if !isMeant { _ = try link(aside, to: path) }
        try fileSystem.remove(aside)
        return isMeant
    }

    /// Removes a file; none there is fine.
    func removeIfPresent(_ path: String) throws(FileError) {
        do throws(FileError) { try fileSystem.remove(path) } catch { if !error.isNotFound { throw error } }
    }

    /// Gives a file a second name; false where something stands there.
    private func link(_ from: String, to name: String) throws(FileError) -> Bool {
        do throws(FileError) { try fileSystem.link(from, to: name) } catch {
            if error.errno == EEXIST { return false }
            throw error
        }
        return true
    }
}
