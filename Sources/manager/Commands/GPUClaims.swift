import EventLog
import Logging

/// Claims GPUs for a verb and gives them back: the locks of a data directory or of a worker's own one.
enum GPUClaims {
    /// Claims all of them, or none: then a failure that names who holds which.
    static func take(_ gpus: [Int], in data: DataDirectory) async throws -> GPULockSet {
        let taken = await onThread(named: "gpu-locks") {
            Result {
                let processes = ProcessTable()
                return try GPULockSet(
                    gpus,
                    in: GPULockFolder(
                        directory: data.gpuLocks, fileSystem: data.fileSystem, processes: processes,
                        asker: try GPULockOwner.ofThisProcess(processes)))
            }
        }
        do { return try taken.get() } catch let error as GPUsNotTaken {
            throw VerbFailure(error.description, status: 1)
        }
    }

    /// Gives them back. What cannot be removed is taken over by the next claim, for its process is gone then.
    static func release(_ locks: GPULockSet, _ logger: Logger) async {
        for problem in await onThread(named: "gpu-locks", { locks.release() }) {
            logger.warning("a GPU's lock stays behind, and is taken over by the next run: \(problem)")
        }
    }
}
