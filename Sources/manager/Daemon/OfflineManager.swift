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

    /// Loads the directory. The lock is given free where that fails.
    init(_ data: DataDirectory, _ lock: DirectoryLock, warn: @escaping @Sendable (String) -> Void) throws(StartFailure)
    {
        do throws(StartFailure) {
            guard let http = Endpoint("127.0.0.1:0") else { preconditionFailure("a fixed endpoint") }
            let parts = try ManagerDaemon.load(ManagerDaemon.Options(data: data, http: http), warn: warn)
            processor = parts.processor
            snapshots = SnapshotService(data, parts.processor, last: parts.snapshotPosition)
            if let cut = parts.opened.cut { parts.processor.record([ManagerDaemon.note(cut)], actor: nil) }
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
