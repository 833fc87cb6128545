import EventLog
import Projections
import Synchronization

/// Workers that fail: quarantine, and who is asked first to try again.
extension CommandProcessor {
    /// For so long a failed task is kept for another worker, while there is one.
    private static let elsewhereFirstFor = Duration.seconds(5)
    /// A worker that has claimed within this time counts as there.
    private static let seenLately = Duration.seconds(10)

    /// Whether a worker has failed too often in a row to get more work.
    func isQuarantined(_ worker: String, _ core: borrowing Core) -> Bool {
        guard quarantineAfter > 0 else { return false }
        return core.state.failuresInRow(of: worker) >= Int64(quarantineAfter)
    }

    /// Whether a worker has failed too often in a row to get more work.
    func isQuarantined(_ worker: String) -> Bool { core.withLock { isQuarantined(worker, $0) } }

    /// Gives a worker work again; whether anything had kept it. Throws 404 for one that has never come.
    func releaseWorker(_ worker: String, actor: String?) throws(Rejection) -> Decided<Bool> {
        var refused: Rejection?
        let decided = core.withLock { core -> Decided<Bool> in
            var events: [Event] = []
            do throws(Rejection) { events = try core.state.decideRelease(worker: worker) } catch { refused = error }
            append(events, actor: actor, &core, false)
            return Decided(answer: !events.isEmpty, position: core.state.position)
        }
        if let refused { throw refused }
        return decided
    }

    /// From which moment on this worker's failures are left to others: nil where there has been no failure lately, or no
    /// other worker is there. So nobody starves: after a few seconds anybody may have the task.
    func elsewhereFirst(_ worker: String, _ core: borrowing Core) -> LogTime? {
        let now = clock.steady()
        guard let failure = core.newestFailure, now - failure < Self.elsewhereFirstFor else { return nil }
        var others = core.waiters.lazy.map(\.request.worker).filter { $0 != worker }.makeIterator()
        var isAnotherThere = false
        while !isAnotherThere, let other = others.next() { isAnotherThere = !isQuarantined(other, core) }
        for (other, seen) in core.seen where !isAnotherThere && other != worker && now - seen < Self.seenLately {
            isAnotherThere = !isQuarantined(other, core)
        }
        guard isAnotherThere else { return nil }
        return clock.wall().advanced(bySeconds: -Self.elsewhereFirstFor.seconds)
    }
}
