import EventLog
import Foundation
import Logging
import Projections
import Synchronization

/// The running manager: lock, HTTP, state, workers' port, timers; from start to a clean stop.
final class ManagerDaemon: Sendable {
    /// What a start needs to know.
    struct Options: Sendable {
        var data: DataDirectory
        var sweeps: [SweepFile] = []
        var http: Endpoint
        /// Nil: no workers' port.
        var workers: Endpoint?
        var segmentBytes: Int64 = 64 << 20
        var snapshotEvery: Duration = .seconds(50)
        var staleAfter: Duration = .seconds(7200)
        var poisonAfter = 5
        /// Nil: no backups.
        var backupEvery: Duration?
        var keepBackups = 48
        /// Whether a last event far in the future is taken as it is.
        var acceptsClock = true
        /// Who asked for the sweeps.
        var actor: String?
        /// Whether a start judges running attempts by their age; `run` settles them by its outbox.
        var judgesRunning = true
    }

    /// The version in `started` events.
    static let version = "0.1.0"

    let processor: CommandProcessor
    let snapshots: SnapshotService
    let httpAddress: String
    private let options: Options
    private let lock: DirectoryLock
    private let http: HTTPService
    private let listener: WorkerListener?
    private let logger: Logger
    private let isStopping = Mutex(false)

    private init(
        _ options: Options, _ lock: DirectoryLock, _ http: HTTPService, _ httpAddress: String,
        _ listener: WorkerListener?, _ processor: CommandProcessor, _ snapshots: SnapshotService, _ logger: Logger
    ) {
        self.options = options
        self.lock = lock
        self.http = http
        self.httpAddress = httpAddress
        self.listener = listener
        self.processor = processor
        self.snapshots = snapshots
        self.logger = logger
    }

    /// Starts in the contract's order: lock, ports, load, restore, stale, sweeps, save, workers.
    static func start(_ options: Options, logger: Logger) async throws -> ManagerDaemon {
        let data = options.data
        let lock = try takeLock(data)
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        let http = HTTPService(options.http, data: data, logger: logger)
        let httpAddress = try await bind(options.http, "--listen") { try await http.start() }
        var listener: WorkerListener?
        do {
            if let endpoint = options.workers {
                listener = try await bind(endpoint, "--worker-listen") {
                    try await WorkerListener(endpoint, warn: warn)
                }
            }
            let parts = try await onThread(named: "startup") { Result { try load(options, warn: warn) } }.get()
            let snapshots = SnapshotService(data, parts.processor, last: parts.snapshotPosition)
            let daemon = ManagerDaemon(
                options, lock, http, httpAddress, listener, parts.processor, snapshots, logger)
            try await onThread(named: "startup") { Result { try daemon.begin(parts) } }.get()
            http.open(parts.processor, snapshots, workerAddress: listener?.address)
            try await listener?.start(parts.processor)
            try daemon.describeLock()
            return daemon
        } catch {
            await http.stop()
            try await listener?.stop()
            throw error
        }
    }

    private static func takeLock(_ data: DataDirectory) throws(StartFailure) -> DirectoryLock {
        // The lock's directory must not be made before this is known: a state file without its journal.
        try StartupOrder.refuseStateWithoutJournal(data)
        do throws(JournalError) {
            let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
            do throws(FileError) {
                try lock.describe(lockLine(http: nil, tcp: nil))
            } catch { throw .file(error) }
            return lock
        } catch { throw StartFailure(error) }
    }

    private static func bind<T>(_ endpoint: Endpoint, _ flag: String, _ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch {
            throw StartFailure(
                "cannot listen on \(endpoint) (\(error)): is another program using the port? Choose another with \(flag)"
            )
        }
    }

    private struct Parts: Sendable {
        let processor: CommandProcessor
        let opened: OpenedJournal
        let snapshotPosition: LogPosition?
    }

    private static func load(_ options: Options, warn: @escaping @Sendable (String) -> Void) throws(StartFailure)
        -> Parts
    {
        let results = ResultWriter(
            ResultFiles(dataDirectory: options.data.path, on: options.data.fileSystem), report: warn)
        let startup = Startup(data: options.data, segmentBytes: options.segmentBytes, warn: warn)
        let loaded = try startup.run(results: results)
        let publisher = Publisher(durable: loaded.opened.last)
        let writer = LogWriter(
            loaded.store, opened: loaded.opened, segmentBytes: options.segmentBytes,
            onDurable: { publisher.advance(to: $0) },
            onFailure: { error in
                FileHandle.standardError.write(
                    Data(
                        "manager: the journal cannot be written: \(error). Nothing acknowledged is lost; start again when the disk is well\n"
                            .utf8))
                _exit(1)
            })
        let processor = CommandProcessor(
            state: loaded.state, writer: writer, publisher: publisher, results: results,
            poisonAfter: options.poisonAfter)
        return Parts(processor: processor, opened: loaded.opened, snapshotPosition: loaded.snapshotPosition)
    }

    /// The first events of this run and the lines that a start prints.
    private func begin(_ parts: Parts) throws {
        let before = processor.snapshot
        try judgeClock(before.time)
        StartReport.say("Loaded state: \(before.taskCount) tasks, \(before.runningAttempts.count) assigned")
        let now = max(LogTime.now(), before.time ?? LogTime(microseconds: 0))
        processor.record([.started(version: Self.version, host: hostName(), pid: Int(getpid()))], actor: nil)
        if let cut = parts.opened.cut {
            logger.warning(
                "\(cut.bytes) bytes of an unfinished write were cut from the journal's end and kept in journal/\(cut.file)"
            )
            processor.record([Self.note(cut)], actor: nil)
        }
        if options.judgesRunning {
            StaleCheck(processor: processor, staleAfter: options.staleAfter).atStart(now: now)
        }
        let loaded = try SweepLoader(processor: processor, data: options.data).load(
            options.sweeps, actor: options.actor)
        if loaded.gone > 0 {
            logger.notice("\(loaded.gone) tasks stand whose points are in no sweep file any more; they are kept")
        }
        processor.writer.waitUntilDurable(processor.snapshot.position)
        StartReport.say("Updating state with CSV completions...")
        StartReport.say("Initial status: \(processor.snapshot.progress)")
        _ = try snapshots.write()
    }

    /// Requeues every running attempt as lost: for `run`, whose workers died with it.
    func loseRunning() {
        processor.core.withLock { core in
            for attempt in core.state.runningAttempts {
                let events = core.state.decideLoss(
                    attempt.task, attempt: attempt.attempt, .workerLost, poisonAfter: options.poisonAfter)
                processor.append(events, actor: "run", &core, false)
            }
        }
    }

    /// A last event in the future: somebody's clock is or was wrong, and times would stand still until then.
    private func judgeClock(_ last: LogTime?) throws(StartFailure) {
        guard let last, case let ahead = last.seconds(since: LogTime.now()), ahead > 60 else { return }
        let text = "the journal's last event (\(last)) lies \(EventPainter.duration(ahead)) in the future"
        guard ahead <= 86_400 || options.acceptsClock else {
            throw StartFailure(
                "\(text): set this machine's clock, or start with --accept-clock; events then carry that time until it is past"
            )
        }
        logger.warning("\(text); events carry that time until it is past")
    }

    /// The note of what recovery cut.
    static func note(_ cut: OpenedJournal.Cut) -> Event {
        func json(_ text: String) -> [UInt8] {
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return out
        }
        return .note(
            type: "cut",
            members: [
                ("file", json(cut.file)), ("bytes", Array("\(cut.bytes)".utf8)), ("sha256", json(cut.sha256)),
                ("first_seq", Array("\(cut.first)".utf8)),
            ])
    }

    // MARK: - While it runs

    /// Snapshots and stale checks until `stop` or, with `exitWhenDone`, until nothing can still become complete.
    func run(exitWhenDone: Bool, until stopped: @escaping @Sendable () -> Bool) async {
        var nextSnapshot = ContinuousClock.now + options.snapshotEvery
        var nextStale = ContinuousClock.now + .seconds(1)
        var nextBackup = options.backupEvery.map { ContinuousClock.now + $0 }
        while !stopped() {
            // A cancelled sleep is a stop that was asked for.
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
            let now = ContinuousClock.now
            if now >= nextStale {
                nextStale = now + .seconds(5)
                StaleCheck(processor: processor, staleAfter: options.staleAfter).run()
                if let problem = processor.writer.takeArchiveProblem() {
                    logger.warning("a sealed segment stays uncompressed: \(problem)")
                }
            }
            if now >= nextSnapshot {
                nextSnapshot = now + options.snapshotEvery
                await saveState()
            }
            if let due = nextBackup, now >= due, let every = options.backupEvery {
                nextBackup = now + every
                await backUp()
            }
            if exitWhenDone, processor.read({ $0.isDone }).answer { return }
        }
    }

    private func saveState() async {
        let outcome = await onThread(named: "snapshot") { [snapshots] in Result { try snapshots.write() } }
        if case .failure(let error) = outcome {
            logger.warning("the state could not be saved; the journal has everything: \(error)")
        }
    }

    private func backUp() async {
        let backups = Backups(options.data, keep: options.keepBackups)
        let outcome = await onThread(named: "backup") { [processor] in
            Result {
                let state = processor.snapshot
                processor.writer.waitUntilDurable(state.position)
                if processor.results.isWritten(upTo: state.position) { try backups.write(state) }
            }
        }
        if case .failure(let error) = outcome { logger.warning("no backup was written: \(error)") }
    }

    /// The clean stop: ports closed, `stopped` written, the state saved at exactly that event.
    func stop() async throws {
        guard
            isStopping.withLock({
                let first = !$0; $0 = true; return first
            })
        else { return }
        StartReport.say("Shutting down...")
        try await listener?.stop()
        await http.stop()
        try await onThread(named: "shutdown") { [self] in
            Result {
                processor.record([.stopped], actor: nil)
                processor.writer.waitUntilDurable(processor.snapshot.position)
                processor.results.close()
                if try snapshots.write(paced: false) == nil {
                    logger.warning("the state was not saved: result rows are still owed; the next start writes them")
                }
                StartReport.say("Saved state: \(processor.snapshot.taskCount) tasks")
                processor.writer.close()
                try lock.describe(Self.lockLine(http: nil, tcp: nil))
                lock.release()
            }
        }.get()
    }

    private func describeLock() throws(FileError) {
        try lock.describe(Self.lockLine(http: httpAddress, tcp: listener?.address))
    }

    private static func lockLine(http: String?, tcp: String?) -> String {
        func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "null" }
        return
            "{\"pid\":\(getpid()),\"host\":\(quoted(hostName())),\"started\":\"\(LogTime.now())\",\"http\":\(quoted(http)),\"tcp\":\(quoted(tcp))}"
    }
}

/// This machine's name.
func hostName() -> String { ProcessInfo.processInfo.hostName }

/// What must be known before the lock's directory is made.
enum StartupOrder {
    /// Throws where a state file of ours stands without its journal: making the directory would hide that.
    static func refuseStateWithoutJournal(_ data: DataDirectory) throws(StartFailure) {
        let bytes: [UInt8]
        do throws(FileError) {
            guard try data.fileSystem.metadata(data.stateFile) != nil,
                try data.fileSystem.metadata(data.journalPath) == nil
            else { return }
            bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        } catch { throw StartFailure(error) }
        if StateDecoder.checksumProblem(bytes) == .noJournalMember { return }
        throw StartFailure(
            "\(data.stateFile) stands here, but its journal (\(data.journalPath)/) is missing: put it back, or use another "
                + "--data-dir, or move the state file away to start fresh", exitStatus: 2)
    }
}
