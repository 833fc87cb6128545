import EventLog
import Logging
import Projections

/// `serve --degraded`: a directory whose journal is damaged is read, and nothing is written.
extension ManagerDaemon {
    /// Why nothing but reads is taken.
    static let degraded =
        "this manager was started with --degraded and only reads: 'manager verify' names what is wrong with the journal, "
        + "'manager repair' mends it, then start without --degraded"

    /// Answers reads until `stopped`. Holds the lock, so that nobody else writes meanwhile.
    static func serveDegraded(
        _ options: Options, logger: Logger, until stopped: @escaping @Sendable () -> Bool
    ) async throws {
        let data = options.data
        let lock = try takeLock(data)
        defer { lock.release() }
        let security = options.security ?? .loopback(logger)
        let http = HTTPService(
            options.http, data: data,
            options: HTTPService.Options(security: security, limits: options.limits, accessLog: options.accessLog),
            logger: logger)
        let httpAddress = try await bind(options.http, "--listen") { try await http.start() }
        var listener: WorkerListener?
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        let began = ContinuousClock.now
        do {
            if let endpoint = options.workers {
                listener = try await bind(endpoint, "--worker-listen") {
                    try await WorkerListener(endpoint, security: security, limits: options.limits, warn: warn)
                }
            }
            let state = try await onThread(named: "startup") { Result { try readable(data, warn) } }.get()
            StartReport.say("Loaded state: \(state.taskCount) tasks, \(state.runningAttempts.count) assigned")
            let reading = ReadOnlyManager(data, state, reason: degraded)
            defer { reading.close() }
            http.open(
                reading.processor, reading.snapshots, listener: listener,
                loadSeconds: (ContinuousClock.now - began).seconds)
            try await listener?.start(reading.processor)
            try lock.describe(
                LockLine.text(http: httpAddress, tcp: listener?.address, tls: security.tls?.certificate))
            logger.notice("HTTP on http://\(httpAddress), reads only")
            while !stopped() {
                // A cancelled sleep is a stop that was asked for.
                do { try await Task.sleep(for: .milliseconds(50)) } catch { break }
            }
            try await listener?.stop()
            await http.stop()
            try lock.describe(LockLine.text(http: nil, tcp: nil))
        } catch {
            await http.stop()
            try await listener?.stop()
            throw error
        }
    }

    /// The newest state that can be known without what is damaged.
    private static func readable(
        _ data: DataDirectory, _ warn: (String) -> Void
    ) throws(JournalError) -> ManagerState {
        let damage: JournalError
        do throws(JournalError) { return try MomentReader(data).state(at: .now).state } catch {
            guard case .damage = error else { throw error }
            damage = error
        }
        var state = try upToDamage(data)
        for kept in try KeptStates(data).all where kept.position > state.position {
            if let saved = kept.load(data, ofOlderFolds: true) {
                state = saved
                break
            }
        }
        warn("\(damage)")
        warn("what is shown is the state at seq \(state.position)")
        return state
    }

    /// The state from the first event to the last one before a damage.
    private static func upToDamage(_ data: DataDirectory) throws(JournalError) -> ManagerState {
        var state = ManagerState()
        do throws(JournalError) {
            try LogReader(data.journal).forEach { line throws(JournalError) in
                do throws(EventError) { try state.apply(line) } catch { return false }
                return true
            }
        } catch {
            guard case .damage = error else { throw error }
        }
        return state
    }
}
