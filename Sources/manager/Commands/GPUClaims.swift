import Logging

/// Claims GPUs for a verb and gives them back: the locks of a data directory or of a worker's own one.
enum GPUClaims {
    /// Claims all of them, or none: then a failure that names who holds which.
    static func take(_ gpus: [Int], in data: DataDirectory) async throws -> GPULockSet {
        do { return try await GPULockSet.take(gpus, in: data) } catch let error as GPUsNotTaken {
            throw VerbFailure(error.description, status: 1)
        }
    }

    /// Gives them back. What cannot be removed is taken over by the next claim, for its process is gone then.
    static func release(_ locks: GPULockSet, _ logger: Logger) async {
        for problem in await onThread(named: "gpu-locks", { locks.release() }) { logger.warning("\(problem)") }
    }
}
