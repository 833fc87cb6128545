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
        let http = HTTPService(options.http, data: data, logger: logger)
        let httpAddress = try await bind(options.http, "--listen") { try await http.start() }
        var listener: WorkerListener?
        let warn: @Sendable (String) -> Void = { logger.warning("\($0)") }
        do {
            if let endpoint = options.workers {
                listener = try await bind(endpoint, "--worker-listen") {
                    try await WorkerListener(endpoint, warn: warn)
                }
            }
            let state = try await onThread(named: "startup") { Result { try readable(data, warn) } }.get()
            StartReport.say("Loaded state: \(state.taskCount) tasks, \(state.runningAttempts.count) assigned")
            let reading = ReadOnlyManager(data, state, reason: degraded)
            defer { reading.close() }
            http.open(reading.processor, reading.snapshots, workerAddress: listener?.address)
            try await listener?.start(reading.processor)
            try lock.describe(lockLine(http: httpAddress, tcp: listener?.address))
            logger.notice("HTTP on http://\(httpAddress), reads only")
            while !stopped() { try await Task.sleep(for: .milliseconds(50)) }
            try await listener?.stop()
            await http.stop()
            try lock.describe(lockLine(http: nil, tcp: nil))
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
        do throws(JournalError) { return try StateReader.state(data, at: .now).state } catch {
            guard case .damage = error else { throw error }
            damage = error
        }
        var state = try StateReader.upToDamage(data)
        if let saved = StateReader.snapshot(data, at: .now), saved.position > state.position { state = saved }
        warn("\(damage)")
        warn("what is shown is the state at seq \(state.position)")
        return state
    }
}
