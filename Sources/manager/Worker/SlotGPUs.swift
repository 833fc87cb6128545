import EventLog
import Logging
import Synchronization

/// The GPUs of a worker: claimed at its start, but for those that a keeper of its predecessor still guards. Such a GPU is
/// this worker's too, and its lock is taken when the last of those programs has ended.
final class SlotGPUs: Sendable {
    /// Looks at a lock that somebody else has taken in between, before that is an error.
    private static let looks = 20

    private let gpus: [Int]
    private let keepers: [Int: [Outbox.Adoptable]]
    private let data: DataDirectory
    private let outbox: Outbox
    private let taken = Mutex<[Int: GPULockSet]>([:])

    /// For these GPUs, with the keepers that live.
    init(_ gpus: [Int], _ living: [Outbox.Adoptable], _ outbox: Outbox, in data: DataDirectory) {
        self.gpus = gpus
        self.outbox = outbox
        self.data = data
        var keepers: [Int: [Outbox.Adoptable]] = [:]
        for keeper in living { if let gpu = keeper.gpu { keepers[gpu, default: []].append(keeper) } }
        self.keepers = keepers
    }

    /// Claims all that no keeper guards, or none; then a failure that names who holds which.
    func takeFree() async throws {
        let free = gpus.filter { keepers[$0] == nil }
        let locks = try await GPUClaims.take(free, in: data)
        if let first = free.first { taken.withLock { $0[first] = locks } }
    }

    /// Claims the others, each when its keepers have ended. Throws when somebody else came first.
    func takeGuarded() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for gpu in gpus where keepers[gpu] != nil { group.addTask { try await self.take(gpu) } }
            try await group.waitForAll()
        }
    }

    private func take(_ gpu: Int) async throws {
        for keeper in keepers[gpu] ?? [] { await onThread(named: "keeper-gpu") { keeper.lock.waitUntilFree() } }
        for look in 1...Self.looks {
            do {
                let locks = try await GPUClaims.take([gpu], in: data)
                return taken.withLock { $0[gpu] = locks }
            } catch {
                // A keeper that has only just ended may stand in the lock.
                if look == Self.looks { throw error }
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Waits until a slot may use its GPU: it is claimed, or guarded by a keeper of this worker.
    func wait(for gpu: Int?) async throws {
        guard let gpu, keepers[gpu] != nil else { return }
        while taken.withLock({ $0[gpu] == nil }), !isGuarded(gpu) { try await Task.sleep(for: .milliseconds(20)) }
    }

    private func isGuarded(_ gpu: Int) -> Bool {
        (keepers[gpu] ?? []).contains { outbox.keeper(of: $0.reference) != nil }
    }

    /// Gives all back.
    func release(_ logger: Logger) async {
        for locks in taken.withLock({ Array($0.values) }) { await GPUClaims.release(locks, logger) }
    }
}
