import EventLog
import Foundation
import Glibc

/// What the outbox holds of keepers.
extension Outbox {
    /// Writes the order for a keeper, durably.
    func give(_ order: KeeperOrder) throws(FileError) {
        let bytes: [UInt8]
        do { bytes = Array(try JSONEncoder().encode(order)) } catch {
            preconditionFailure("an order is always JSON: \(error)")
        }
        try write(bytes + [0x0A], to: path(of: order.reference, .order))
    }

    /// The living keeper of an attempt, as it has noted itself; nil where there is none, or not yet.
    func keeper(of reference: AttemptReference) -> RunningChild? {
        do {
            let child = try RunningChild(json: try readWholeFile(path(of: reference, .keeper), on: fileSystem))
            let process = processes.entry(child.pid)
            let isIt = child.bootID == bootID && process?.startTicks == child.startTicks && process?.isAlive == true
            return isIt ? child : nil
        } catch { return nil }  // not written yet, or removed by its end
    }

    /// Whether one of an attempt's files stands.
    func hasFile(of reference: AttemptReference, _ suffix: Suffix) -> Bool {
        do throws(FileError) { return try fileSystem.metadata(path(of: reference, suffix)) != nil } catch {
            return false
        }
    }

    /// The outcome that is kept for an attempt; nil where there is none that can be read.
    func outcome(of reference: AttemptReference) -> KeptOutcome? {
        do { return try KeptOutcome(json: try readWholeFile(path(of: reference, .outcome), on: fileSystem)) } catch {
            return nil
        }
    }

    /// A keeper that lives, of a worker that was killed.
    struct Adoptable: Sendable {
        /// Its attempt.
        let reference: AttemptReference
        /// The worker that had it started.
        let worker: String
        /// The GPU that its program uses; nil for none.
        let gpu: Int?
        /// Its lock, held by it.
        let lock: KeeperLock
    }

    /// The keepers that live. The orders of others are taken away, so that none begins any more.
    func livingKeepers() throws(FileError) -> [Adoptable] {
        var living: [Adoptable] = []
        for name in try fileSystem.list(directory) where name.hasSuffix(Suffix.order.rawValue) {
            let path = "\(directory)/\(name)"
            // A directory that a program made is no order.
            if try fileSystem.metadata(path)?.isRegular != true { continue }
            switch try KeeperLock.look(path) {
            case .gone: continue
            case .free: try removeIfPresent(path)
            case .held(let lock):
                do {
                    let bytes = try readWholeFile(path, on: fileSystem)
                    let order = try JSONDecoder().decode(KeeperOrder.self, from: Data(bytes))
                    living.append(
                        Adoptable(reference: order.reference, worker: order.worker, gpu: order.gpu, lock: lock))
                } catch { continue }  // it has ended and removed its order in this moment: its outcome stands
            }
        }
        return living
    }

    /// Ends keepers and their programs, and waits for it: SIGTERM, so that each keeps a last outcome (`returned`).
    func end(_ keepers: [Adoptable]) async {
        for keeper in keepers { KeeperWatch(self, keeper.reference, worker: keeper.worker, host: "").stop(.drained) }
        for keeper in keepers { await onThread(named: "keeper-wait") { keeper.lock.waitUntilFree() } }
    }
}
