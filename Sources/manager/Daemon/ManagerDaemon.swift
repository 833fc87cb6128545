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
        var silence = SilenceLimits(staleAfter: .seconds(7200))
        /// Failures in a row after which a worker gets no more tasks; 0: never.
        var quarantineAfter = 0
        var poisonAfter = 5
        /// Nil: no backups.
        var backupEvery: Duration? = .seconds(600)
        /// What the journal may take of the disk.
        var budget = DiskBudget()
        /// Which backups are kept.
        var backups = BackupThinning()
        /// Whether a last event far in the future is taken as it is.
        var acceptsClock = true
        /// Who asked for the sweeps.
        var actor: String?
        /// How long a start on a full disk waits before it tries again.
        var retryEvery: Duration = .seconds(5)
        /// Whether a start that waits is to end.
        var isStopRequested: @Sendable () -> Bool = { false }
        /// Whether a start judges running attempts by their age; `run` settles them by its outbox.
        var judgesRunning = true
        /// How often result files are read for rows of others.
        var csvEvery: Duration = .seconds(5)
        /// More result files of others, as patterns.
        var results: [String] = []
        /// Who may speak to it; nil: everybody, on this machine.
        var security: ServerSecurity?
        /// What clients may send and hold.
        var limits = ServerLimits()
        /// Nil: requests are not logged.
        var accessLog: AccessLog?
    }

    /// The version in `started` events.
    static let version = "0.1.0"

    let processor: CommandProcessor
    let snapshots: SnapshotService
    let httpAddress: String
    let options: Options
    private let lock: DirectoryLock
    private let http: HTTPService
    private let listener: WorkerListener?
    let logger: Logger
    let staleCheck: StaleCheck
    private let reconciler: CSVReconciler
    private let isStopping = Mutex(false)
    /// Nil until everything is loaded.
    private let checkpoints = Mutex<CheckpointService?>(nil)
    private let historyCheck = Mutex<HistoryCheck?>(nil)

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
        staleCheck = StaleCheck(processor, limits: options.silence)
        reconciler = CSVReconciler(
            options.data, processor, patterns: options.results, every: options.csvEvery,
            warn: { logger.warning("\($0)") })
    }

    /// Starts in the contract's order: lock, ports, load, restore, stale, sweeps, save, workers.
    static func start(_ options: Options, logger: Logger) async throws -> ManagerDaemon {
        let data = options.data
        let lock = try takeLock(data)
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        if let name = UntrustedFileSystem.name(at: data.path) { warn(UntrustedFileSystem.warning(name, data.path)) }
        let security = options.security ?? .loopback(logger)
        let http = HTTPService(
            options.http, data: data,
            options: HTTPService.Options(security: security, limits: options.limits, accessLog: options.accessLog),
            logger: logger)
        let httpAddress = try await bind(options.http, "--listen") { try await http.start() }
        var listener: WorkerListener?
        do {
            if let endpoint = options.workers {
                listener = try await bind(endpoint, "--worker-listen") {
                    try await WorkerListener(endpoint, security: security, limits: options.limits, warn: warn)
                }
            }
            let (httpBound, tcpBound) = (httpAddress, listener?.address)
            let certificate = security.tls?.certificate
            let doors = Doors(
                http: http, listener: listener,
                describe: { try lock.describe(LockLine.text(http: httpBound, tcp: tcpBound, tls: certificate)) })
            let began = ContinuousClock.now
            let parts = try await loadWhenThereIsRoom(options, doors, logger: logger)
            let snapshots = SnapshotService(data, parts.processor, last: parts.snapshotPosition)
            let daemon = ManagerDaemon(
                options, lock, http, httpAddress, listener, parts.processor, snapshots, logger)
            try await onThread(named: "startup") { Result { try daemon.begin(parts) } }.get()
            http.open(
                parts.processor, snapshots, listener: listener, loadSeconds: (ContinuousClock.now - began).seconds)
            try await listener?.start(parts.processor)
            try daemon.describeLock()
            daemon.keepCheckpoints()
            daemon.checkHistory()
            return daemon
        } catch {
            await http.stop()
            try await listener?.stop()
            throw error
        }
    }

    /// Where workers connect; nil where there is no port for them.
    var workerAddress: String? { listener?.address }

    static func takeLock(_ data: DataDirectory) throws(StartFailure) -> DirectoryLock {
        // The lock's directory must not be made before this is known: a state file without its journal.
        try StartupOrder.refuseStateWithoutJournal(data)
        do throws(JournalError) {
            let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
            do throws(FileError) {
                try lock.describe(LockLine.text(http: nil, tcp: nil))
            } catch { throw .file(error) }
            return lock
        } catch { throw StartFailure(error) }
    }

    static func bind<T>(_ endpoint: Endpoint, _ flag: String, _ body: () async throws -> T) async throws -> T {
        do { return try await body() } catch {
            throw StartFailure(
                "cannot listen on \(endpoint) (\(error)): is another program using the port? Choose another with \(flag)"
            )
        }
    }

    /// What loading a directory gives.
    struct Parts: Sendable {
        let processor: CommandProcessor
        let opened: OpenedJournal
        let snapshotPosition: LogPosition?
        /// What a repair has left to be written.
        let unsettled: GapFold.Unsettled
    }

    /// Brings the directory to life; the lock is held.
    static func load(_ options: Options, warn: @escaping @Sendable (String) -> Void) throws(StartFailure)
        -> Parts
    {
        let results = ResultWriter(
            ResultFiles(dataDirectory: options.data.path, on: options.data.fileSystem), report: warn)
        let startup = Startup(data: options.data, segmentBytes: options.segmentBytes, warn: warn)
        let loaded: Startup.Loaded
        do throws(StartFailure) { loaded = try startup.run(results: results) } catch {
            results.close()
            throw error
        }
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
            poisonAfter: options.poisonAfter, quarantineAfter: options.quarantineAfter,
            fileSystem: options.data.fileSystem)
        return Parts(
            processor: processor, opened: loaded.opened, snapshotPosition: loaded.snapshotPosition,
            unsettled: loaded.unsettled)
    }

    /// The first events of this run and the lines that a start prints.
    private func begin(_ parts: Parts) throws {
        let before = processor.snapshot
        try judgeClock(before.time)
        StartReport.say("Loaded state: \(before.taskCount) tasks, \(before.runningAttempts.count) assigned")
        processor.record([.started(version: Self.version, host: hostName(), pid: Int(getpid()))], actor: nil)
        if let cut = parts.opened.cut {
            logger.warning(
                "\(cut.bytes) bytes of an unfinished write were cut from the journal's end and kept in journal/\(cut.file)"
            )
            processor.record([Self.note(cut)], actor: nil)
        }
        GapSettlement.record(parts.unsettled, [], processor, actor: nil) { logger.warning("\($0)") }
        if options.judgesRunning {
            let lines = staleCheck.atStart()
            StartReport.list(lines.valid)
            StartReport.list(lines.stale)
        }
        let loaded = try SweepLoader(processor: processor, data: options.data).load(
            options.sweeps, actor: options.actor)
        if loaded.gone > 0 {
            logger.notice(
                "\(loaded.gone) tasks stand whose points are in no sweep file any more; they are kept: \(loaded.goneText)"
            )
        }
        StartReport.say("Updating state with CSV completions...")
        let marked = reconciler.scan()
        processor.writer.waitUntilDurable(processor.snapshot.position)
        if marked > 0 { StartReport.say("Marked \(marked) \(marked == 1 ? "task" : "tasks") as already completed") }
        StartReport.say("Initial status: \(processor.snapshot.progress)")
        for line in processor.snapshot.blockedPhases { logger.warning("never claimable as things stand: \(line)") }
        // Not paced: nobody is served yet.
        do throws(FileError) { _ = try snapshots.write(paced: false) } catch {
            // The journal has everything, and running work can end: a full disk is no reason not to start.
            guard error.isDiskFull else { throw error }
            logger.warning("the state could not be saved; the journal has everything: \(error)")
        }
        reconciler.start()
    }

    private func checkHistory() {
        let check = HistoryCheck(options.data, logger: logger)
        historyCheck.withLock { $0 = check }
        http.show(check)
    }

    private func keepCheckpoints() {
        let logger = logger
        checkpoints.withLock {
            $0 = CheckpointService(
                options.data, processor, segmentBytes: options.segmentBytes, warn: { logger.warning("\($0)") })
        }
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

    /// The clean stop: ports closed, `stopped` written, the state saved at exactly that event.
    func stop() async throws {
        guard
            isStopping.withLock({
                let first = !$0; $0 = true; return first
            })
        else { return }
        StartReport.say("Shutting down...")
        processor.writer.interruptCompaction()
        try await listener?.stop()
        await http.stop()
        options.accessLog?.close()
        try await onThread(named: "shutdown") { [self] in
            Result {
                checkpoints.withLock { $0 }?.close()
                historyCheck.withLock { $0 }?.close()
                reconciler.close()
                processor.record([.stopped], actor: nil)
                processor.writer.waitUntilDurable(processor.snapshot.position)
                processor.results.close()
                if try snapshots.write(paced: false) == nil {
                    logger.warning("the state was not saved: result rows are still owed; the next start writes them")
                    StartReport.say("Saved journal: \(processor.snapshot.taskCount) tasks")
                } else {
                    // The state is saved: a backup that fails is no reason to stop uncleanly.
                    do {
                        if options.backupEvery != nil {
                            let backups = Backups(options.data, thinning: options.backups)
                            try backups.write(processor.snapshot, paced: false)
                            try backups.thin()
                        }
                    } catch { logger.warning("no backup was written: \(error)") }
                    StartReport.say("Saved state: \(processor.snapshot.taskCount) tasks")
                }
                processor.writer.close()
                try lock.describe(LockLine.text(http: nil, tcp: nil))
                lock.release()
            }
        }.get()
    }

    private func describeLock() throws(FileError) {
        try lock.describe(
            LockLine.text(
                http: httpAddress, tcp: listener?.address, tls: options.security?.tls?.certificate))
    }
}

/// This machine's name.
func hostName() -> String { ProcessInfo.processInfo.hostName }
