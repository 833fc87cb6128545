import EventLog
import Glibc
import Projections
import Synchronization

/// A pause between the pieces of background writing, so that the journal's syncs do not queue behind them.
func pausePacedWriting() { usleep(3000) }

/// Writes `manager_state.json`: at start, every interval, on request and at a clean shutdown.
///
/// Order of effects: the snapshot's last event is durable and every row up to it is written; then the file, whole, under
/// a temporary name; then the rename. So at start rows are owed only by completions after it.
final class SnapshotService: Sendable {
    private let data: DataDirectory
    private let processor: CommandProcessor
    /// One snapshot at a time; the position of the last.
    private let last: Mutex<LogPosition?>

    init(_ data: DataDirectory, _ processor: CommandProcessor, last: LogPosition?) {
        self.data = data
        self.processor = processor
        self.last = Mutex(last)
    }

    /// The newest snapshot of this run.
    struct Measured: Sendable {
        let at: LogTime
        let seconds: Double
    }

    private let measured = Mutex<Measured?>(nil)

    /// When the newest snapshot of this run was written, and how long that took; nil before the first.
    var newest: Measured? { measured.withLock { $0 } }

    /// What became of a request for a snapshot.
    struct Written: Sendable {
        var position: LogPosition
        var tasks: Int
    }

    /// Writes one unless no event came since the last. Blocks the calling thread for as long as it takes.
    /// Nil: rows up to it are owed (a full disk, a result file that takes none); the next one catches up.
    func write(paced: Bool = true) throws(FileError) -> Written? {
        var failure: FileError?
        let written = last.withLock { last -> Written? in
            let state = processor.snapshot
            if last == state.position { return Written(position: state.position, tasks: state.taskCount) }
            processor.writer.waitUntilDurable(state.position)
            var waited = 0
            while !processor.results.isWritten(upTo: state.position) {
                if waited > 500 || processor.results.isRefused(upTo: state.position) { return nil }
                usleep(10_000)
                waited += 1
            }
            do throws(FileError) {
                let began = ContinuousClock.now
                try Self.write(state, to: data, paced: paced)
                last = state.position
                let seconds = (ContinuousClock.now - began).seconds
                measured.withLock { $0 = Measured(at: LogTime.now(), seconds: seconds) }
            } catch { failure = error }
            return Written(position: state.position, tasks: state.taskCount)
        }
        if let failure { throw failure }
        return written
    }

    /// Writes a state's file whole: temporary name, sync, rename, sync of the directory.
    static func write(_ state: ManagerState, to data: DataDirectory, paced: Bool) throws(FileError) {
        // Without an event there is nothing to save: the journal's first segment has no name yet, and a state file beside
        // no journal would be taken for one whose journal is lost.
        guard state.position > .zero else { return }
        var file = try AtomicFile(data.stateFile, on: data.fileSystem, pause: paced ? { pausePacedWriting() } : nil)
        do {
            try StateEncoder.write(state) { try file.append($0) }
            try file.commit()
        } catch {
            file.abandon()
            throw error as? FileError ?? FileError(operation: "write", path: data.stateFile, errno: EIO)
        }
    }
}
