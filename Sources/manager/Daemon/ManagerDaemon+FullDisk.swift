import EventLog
import Logging
import Projections

/// A start on a full disk: reads are answered, work is refused, and it tries again.
extension ManagerDaemon {
    /// What listens already when the directory is loaded.
    struct Doors: Sendable {
        let http: HTTPService
        let listener: WorkerListener?
        /// Notes the addresses in the lock.
        let describe: @Sendable () throws -> Void
    }

    /// Loads the directory. Where recovery finds no room for what it must write, answers reads from the journal as it
    /// stands and tries again every `retryEvery`. Throws every other failure, and a stop that was asked for meanwhile.
    ///
    /// Nothing was appended to what the last run left, so each try makes the same decision.
    static func loadWhenThereIsRoom(
        _ options: Options, _ doors: Doors, logger: Logger
    ) async throws -> Parts {
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        var reading: ReadOnlyManager?
        while true {
            let outcome = await onThread(named: "startup") {
                Result { () throws(StartFailure) -> Parts in try load(options, warn: warn) }
            }
            let failure: StartFailure
            switch outcome {
            case .success(let parts):
                reading?.close()
                return parts
            case .failure(let error): failure = error
            }
            guard failure.isDiskFull else {
                reading?.close()
                throw failure
            }
            if reading == nil {
                logger.error(
                    "the disk is full: \(failure). Reads are answered, everything else is refused until there is room; trying again every \(options.retryEvery)"
                )
                let manager = try await onThread(named: "startup") { Result { try ReadOnlyManager(options.data) } }
                    .get()
                reading = manager
                doors.http.open(manager.processor, manager.snapshots, listener: doors.listener, loadSeconds: 0)
                try await doors.listener?.start(manager.processor)
                try doors.describe()
            }
            let next = ContinuousClock.now + options.retryEvery
            while ContinuousClock.now < next {
                var isStopped = options.isStopRequested()
                // A cancelled sleep is a stop that was asked for.
                do { try await Task.sleep(for: .milliseconds(50)) } catch { isStopped = true }
                if isStopped {
                    reading?.close()
                    throw StartFailure("stopped while the disk was full; nothing was written")
                }
            }
        }
    }
}

/// Answers reads of a directory whose journal cannot be appended to yet.
final class ReadOnlyManager: Sendable {
    let processor: CommandProcessor
    let snapshots: SnapshotService

    /// Why nothing but reads is taken on a full disk.
    static let fullDisk =
        "the disk is full, so the journal cannot be written yet: free some room; the manager tries again every few seconds"

    /// Reads the state as the journal stands, up to the last whole command. Nothing is written.
    convenience init(_ data: DataDirectory) throws {
        self.init(data, try MomentReader(data).state(at: .now).state, reason: Self.fullDisk)
    }

    /// Shows a state; `reason`: why nothing but reads is taken.
    init(_ data: DataDirectory, _ state: ManagerState, reason: String) {
        let results = ResultWriter(ResultFiles(dataDirectory: data.path, on: data.fileSystem), report: { _ in })
        let publisher = Publisher(durable: state.position)
        // A writer that is never given anything: the store is not opened.
        let writer = LogWriter(
            LocalJournalStore(data.journal, segmentBytes: 1),
            opened: OpenedJournal(last: state.position, activeBytes: 0, activeHasEvents: false), segmentBytes: .max,
            onDurable: { _ in }, onFailure: { preconditionFailure("a journal that is not open was written: \($0)") })
        processor = CommandProcessor(
            state: state, writer: writer, publisher: publisher, results: results, poisonAfter: 0,
            readOnly: reason)
        snapshots = SnapshotService(data, processor, last: state.position)
    }

    /// Ends its threads. Reads that are under way still get their answers.
    func close() {
        processor.results.close()
        processor.writer.close()
    }
}
