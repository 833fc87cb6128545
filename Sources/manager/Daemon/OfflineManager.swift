import EventLog
import Projections

/// A data directory worked on without a running manager: the same parts as the daemon's, without ports and timers.
///
/// The lock is held from before until `close`. A journal that ended uncleanly is recovered and owed rows are written, as
/// at any start.
final class OfflineManager: Sendable {
    let processor: CommandProcessor
    let snapshots: SnapshotService
    private let lock: DirectoryLock

    /// What a repair had left to be written, and now is.
    let settled: GapFold.Unsettled

    /// Loads the directory. The lock is given free where that fails. `notes`: those of a repair of just now.
    init(
        _ data: DataDirectory, _ lock: DirectoryLock, notes: [Event] = [], actor: String? = nil,
        warn: @escaping @Sendable (String) -> Void
    ) throws(StartFailure) {
        do throws(StartFailure) {
            guard let http = Endpoint("127.0.0.1:0") else { preconditionFailure("a fixed endpoint") }
            let parts = try ManagerDaemon.load(ManagerDaemon.Options(data: data, http: http), warn: warn)
            processor = parts.processor
            snapshots = SnapshotService(data, parts.processor, last: parts.snapshotPosition)
            if let cut = parts.opened.cut { parts.processor.record([ManagerDaemon.note(cut)], actor: nil) }
            settled = parts.unsettled
            GapSettlement.record(parts.unsettled, notes, parts.processor, actor: actor, warn: warn)
            self.lock = lock
        } catch {
            lock.release()
            throw error
        }
    }

    /// Makes everything durable, saves the state and gives the lock free. Throws where the state cannot be saved; the
    /// journal has everything all the same.
    func close() throws(FileError) {
        defer { lock.release() }
        processor.writer.waitUntilDurable(processor.snapshot.position)
        processor.results.close()
        defer { processor.writer.close() }
        _ = try snapshots.write(paced: false)
    }
}
