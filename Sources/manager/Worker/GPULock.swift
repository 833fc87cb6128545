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

    /// Gives the GPU back. A lock that somebody has replaced or written over is not touched. Twice is harmless.
    /// Blocks. The order of effects stands at `GPULockFolder`.
    func release() throws(FileError) {
        let isFirst = isReleased.withLock { isReleased in
            defer { isReleased = true }
            return !isReleased
        }
        guard isFirst else { return }
        defer { guarded.close() }
        let disk = folder.fileSystem
        let path = folder.lockPath(gpu)
        let own = GPULockContent.pid(folder.asker.pid)
        // Looked at before it is moved: somebody else's must not be missing even for a moment.
        if try disk.metadata(path)?.identity == identity, try folder.content(path) == own {
            _ = try folder.removeLock(path, ifStill: own)
            try disk.syncDirectory(folder.directory)
        }
        try folder.removeIfPresent(folder.ownerPath(gpu))
        try disk.syncDirectory(folder.directory)
    }
}

/// The GPUs of one run: all of them, or none.
struct GPULockSet: Sendable {
    private let locks: [GPULock]

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
        errors += release().map(GPULockError.file)
        throw GPUsNotTaken(errors: errors, free: taken.map(\.gpu))
    }

    /// Gives all back; what failed. Blocks.
    func release() -> [FileError] {
        locks.compactMap { lock in
            do throws(FileError) { try lock.release() } catch { return error }
            return nil
        }
    }
}
