import EventLog
import Synchronization

/// A claim on one GPU, held until it is released; when the process ends without that, the lock is stale.
final class GPULock: Sendable {
    /// The GPU's number.
    let gpu: Int
    private let folder: GPULockFolder
    private let guarded: any File
    private let identity: FileIdentity
    private let isReleased = Mutex(false)

    /// For `GPULockFolder.take`.
    init(gpu: Int, folder: GPULockFolder, guarded: any File, identity: FileIdentity) {
        self.gpu = gpu
        self.folder = folder
        self.guarded = guarded
        self.identity = identity
    }

    /// Gives the GPU back. A lock that somebody has replaced or written over is not touched: what stands there is
    /// returned, nil where the lock was still ours. Twice is harmless. Blocks. The order of effects stands at
    /// `GPULockFolder`.
    @discardableResult
    func release() throws(FileError) -> GPULockContent? {
        let isFirst = isReleased.withLock { isReleased in
            defer { isReleased = true }
            return !isReleased
        }
        guard isFirst else { return nil }
        defer { guarded.close() }
        let disk = folder.fileSystem
        let path = folder.lockPath(gpu)
        let own = GPULockContent.pid(folder.asker.pid)
        // Looked at before it is moved: somebody else's must not be missing even for a moment.
        let found = try folder.content(path)
        var isOurs = false
        if found == own, try disk.metadata(path)?.identity == identity {
            isOurs = try folder.removeLock(path, ifStill: own)
            try disk.syncDirectory(folder.directory)
        }
        try folder.removeIfPresent(folder.ownerPath(gpu))
        try disk.syncDirectory(folder.directory)
        return isOurs ? nil : found
    }

    /// A sentence for somebody whose GPU was not his alone.
    func sentence(on found: GPULockContent) -> String {
        let path = folder.lockPath(gpu)
        return switch found {
        case .absent:
            "the lock of GPU \(gpu) was removed by somebody during the run, who may have used it too (\(path))"
        case .pid(let pid):
            "the lock of GPU \(gpu) was written over by process \(pid) during the run, which may have used it too (\(path))"
        case .empty, .broken:
            "the lock of GPU \(gpu) was written over by somebody during the run, who may have used it too (\(path))"
        }
    }
}

/// The GPUs of one run: all of them, or none.
struct GPULockSet: Sendable {
    private let locks: [GPULock]

    /// Claims each of these GPUs in a data directory, for this process.
    static func take(_ gpus: [Int], in data: DataDirectory) async throws -> GPULockSet {
        try await onThread(named: "gpu-locks") {
            Result {
                let processes = ProcessTable()
                return try GPULockSet(
                    gpus,
                    in: GPULockFolder(
                        directory: data.gpuLocks, fileSystem: data.fileSystem, processes: processes,
                        asker: try GPULockOwner.ofThisProcess(processes), looksForHeirs: 50))
            }
        }.get()
    }

    /// Claims each of these GPUs. Throws `GPUsNotTaken`, which names each that is not to be had; then none is kept.
    /// Blocks.
    init(_ gpus: [Int], in folder: GPULockFolder) throws(GPUsNotTaken) {
        var taken: [GPULock] = []
        var errors: [GPULockError] = []
        for gpu in gpus {
            do throws(GPULockError) { taken.append(try folder.take(gpu)) } catch { errors.append(error) }
        }
        locks = taken
        guard !errors.isEmpty else { return }
        for lock in taken {
            do throws(FileError) { try lock.release() } catch { errors.append(.file(error)) }
        }
        throw GPUsNotTaken(errors: errors, free: taken.map(\.gpu))
    }

    /// Gives all back; a sentence for each that could not be, or was not ours any more. Blocks.
    func release() -> [String] {
        locks.compactMap { lock in
            do throws(FileError) { return try lock.release().map { lock.sentence(on: $0) } } catch {
                return "a GPU's lock stays behind, and is taken over by the next run: \(error)"
            }
        }
    }
}
