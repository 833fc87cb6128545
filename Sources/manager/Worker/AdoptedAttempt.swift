import EventLog
import Logging

/// An attempt whose program went on under its keeper while the worker was gone: heartbeats go on for it, it is stopped
/// where the manager says so, and its end is delivered, by the name of the worker that had claimed it.
struct AdoptedAttempt: Sendable {
    let keeper: Outbox.Adoptable
    let port: any WorkerPort
    let outbox: Outbox
    let heartbeat: Duration
    let logger: Logger

    /// Waits for its end and delivers it. `control` stops it.
    func finish(_ control: ProgramControl) async {
        let (reference, worker) = (keeper.reference, keeper.worker)
        let watch = KeeperWatch(outbox, reference, worker: worker, host: hostName())
        control.whenStopped { watch.stop($0) }
        let beating = Task { await beat(control) }
        await onThread(named: "keeper-wait") { keeper.lock.waitUntilFree() }
        let end = await watch.collect(said: [], control: control, .unseen)
        beating.cancel()
        let courier = OutcomeCourier(port: port, outbox: outbox, logger: logger)
        guard let outcome = end.outcome else {
            await courier.onDisk("remove a run's files", reference) { () throws(FileError) in
                try outbox.removeRunFiles(of: reference)
            }
            return
        }
        let kept = KeptOutcome(worker: worker, reference: reference, outcome: outcome, report: end.report)
        await courier.onDisk("keep an attempt's end", reference) { () throws(FileError) in try outbox.keep(kept) }
        let delivering = Task { _ = await courier.deliverAll([kept]) }
        // Told to stop at once: what is not delivered now stays in the outbox for the next start.
        control.whenStopped { _ in delivering.cancel() }
        await delivering.value
    }

    private func beat(_ control: ProgramControl) async {
        let clock = ContinuousClock()
        while !Task.isCancelled {
            let next = clock.now + heartbeat
            let answers = await port.heartbeat(
                worker: keeper.worker, attempts: [keeper.reference], progress: outbox.progress(of: keeper.reference),
                wait: heartbeat)
            if answers.first == .stop { return control.stop(.superseded) }
            // Cancelled: it has ended.
            do { try await clock.sleep(until: next) } catch { return }
        }
    }
}
