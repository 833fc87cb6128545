import EventLog
import Logging
import Projections

/// What a manager does while it runs: snapshots, backups, stale checks, its budget.
extension ManagerDaemon {
    /// Snapshots and stale checks until `stop` or, with `exitWhenDone`, until nothing can still become complete.
    func run(exitWhenDone: Bool, until stopped: @escaping @Sendable () -> Bool) async {
        var nextSnapshot = ContinuousClock.now + options.snapshotEvery
        var nextStale = ContinuousClock.now + .seconds(1)
        var clocks = ManagerClock.Watch(processor.clock)
        var backups = options.backupEvery.map {
            BackupSchedule(every: $0, now: ContinuousClock.now, seals: 0)
        }
        var budget = BudgetWatch(options.budget, options.data, processor)
        while !stopped() {
            // A cancelled sleep is a stop that was asked for.
            let before = ContinuousClock.now
            do { try await Task.sleep(for: .milliseconds(100)) } catch { return }
            let now = ContinuousClock.now
            if now - before > .seconds(10) { staleCheck.wasHeldUp() }
            if now >= nextStale {
                nextStale = now + staleCheck.interval
                staleCheck.run()
                noteClock(clocks.step())
                if let problem = processor.writer.takeArchiveProblem() {
                    logger.warning("a sealed segment stays uncompressed: \(problem)")
                }
            }
            if now >= nextSnapshot {
                nextSnapshot = now + options.snapshotEvery
                await saveState()
            }
            if backups?.take(now: now, seals: processor.writer.sealedSegments) == true { await backUp() }
            if let problem = await budget.look(now) { logger.warning("\(problem)") }
            if exitWhenDone, processor.read({ $0.isDone }).answer { return }
        }
    }

    private func noteClock(_ stepSeconds: Double?) {
        guard let stepSeconds else { return }
        var json: [UInt8] = []
        appendJSONNumber((stepSeconds * 1000).rounded() / 1000, to: &json)
        logger.warning("the wall clock was set by \(String(decoding: json, as: UTF8.self)) s while the manager runs")
        processor.record([.note(type: "clock", members: [("step_s", json)])], actor: "timer")
    }

    private func saveState() async {
        let outcome = await onThread(named: "snapshot") { [snapshots] in Result { try snapshots.write() } }
        if case .failure(let error) = outcome {
            logger.warning("the state could not be saved; the journal has everything: \(error)")
        }
    }

    private func backUp() async {
        let backups = Backups(options.data, thinning: options.backups)
        let outcome = await onThread(named: "backup") { [processor] in
            Result {
                let state = processor.snapshot
                processor.writer.waitUntilDurable(state.position)
                if processor.results.isWritten(upTo: state.position) { try backups.write(state) }
                try backups.thin()
                return try backups.verifyOne()
            }
        }
        switch outcome {
        case .failure(let error): logger.warning("no backup was written: \(error)")
        case .success(let problem): if let problem { logger.warning("\(problem)") }
        }
    }
}
