import EventLog
import Projections
import Synchronization

/// What workers report of attempts that ended.
extension CommandProcessor {
    /// What became of a report.
    struct Reported: Sendable, Equatable {
        var isLate = false
        var isDuplicate = false
        /// Why nothing was written, where it was neither taken nor a duplicate.
        var ignored: Rejection?
        /// The row that the completion owes; the answer waits for it.
        var row: OwedRow?
    }

    /// Takes a completion.
    func complete(
        _ task: String, by speaker: ManagerState.Speaker, result: [UInt8]?, actor: String?,
        provenance: Event.Provenance = Event.Provenance(), willCommit: Bool = false
    ) throws(Rejection) -> Decided<Reported> {
        if let result, result.count > Bounds.valueBytes {
            throw Rejection(.tooLarge, "the result of task \(task) has \(result.count) bytes, at most 1 MiB is allowed")
        }
        try Self.check(provenance, of: task)
        return try report(actor: actor, willCommit: willCommit, needs: result?.count ?? 0) { state throws(Rejection) in
            try state.decideComplete(task, by: speaker, result: result, provenance: provenance)
        }
    }

    /// Takes a failure.
    func fail(
        _ task: String, by speaker: ManagerState.Speaker, error: String, actor: String?,
        provenance: Event.Provenance = Event.Provenance(), willCommit: Bool = false
    ) throws(Rejection) -> Decided<Reported> {
        try Self.check(provenance, of: task)
        return try report(actor: actor, willCommit: willCommit) { state throws(Rejection) in
            try state.decideFail(task, by: speaker, error: error, provenance: provenance)
        }
    }

    /// What was measured of a program must be possible: the journal keeps it for good.
    private static func check(_ provenance: Event.Provenance, of task: String) throws(Rejection) {
        if let seconds = provenance.durationSeconds, !(0...Self.mostSeconds).contains(seconds) {
            throw Rejection(
                .invalid, "duration_s of task \(task) is \(seconds); it must be from 0 to \(Int(Self.mostSeconds))")
        }
        if let bytes = provenance.maxRSSBytes, bytes < 0 {
            throw Rejection(.invalid, "max_rss_bytes of task \(task) is \(bytes); it must not be negative")
        }
    }

    /// The longest run of a program that is believed: 100 years.
    private static let mostSeconds = DurationText.mostSeconds

    /// Takes an attempt back.
    func takeBack(
        _ task: String, by speaker: ManagerState.Speaker, actor: String?, willCommit: Bool = false
    ) throws(Rejection) -> Decided<Reported> {
        try report(actor: actor, willCommit: willCommit) { state throws(Rejection) in
            try state.decideReturn(task, by: speaker)
        }
    }

    private func report(
        actor: String?, willCommit: Bool, needs bytes: Int = 0,
        _ decide: (ManagerState) throws(Rejection) -> ManagerState.Report
    ) throws(Rejection) -> Decided<Reported> {
        var refused: Rejection?
        let decided = core.withLock { core -> Decided<Reported> in
            var reported = Reported()
            do throws(Rejection) {
                switch try decide(core.state) {
                case .duplicate: reported.isDuplicate = true
                case .ignored(let why): reported.ignored = why
                case .events(let events, let late):
                    // A large result must find room beside the endings of the others.
                    if bytes > 4096 { try admit(bytes: bytes, core) }
                    reported.isLate = late
                    let position = commit(events, actor: actor, &core, willCommit: willCommit)
                    reported.row = owedRow(events, position, core.state)
                    forget(events, &core)
                    serveWaiters(&core)
                    answerHeartbeats(&core)
                }
            } catch { refused = error }
            return Decided(answer: reported, position: core.state.position)
        }
        if let refused { throw refused }
        return decided
    }

    /// Forgets the signs of attempts that ended. The caller holds the core.
    func forget(_ events: [Event], _ core: inout Core) {
        for event in events {
            switch event {
            case .completed(let done): core.signs[AttemptReference(task: done.task, attempt: done.attempt)] = nil
            case .failed(let done):
                core.signs[AttemptReference(task: done.task, attempt: done.attempt)] = nil
                core.newestFailure = clock.steady()
            default: continue
            }
        }
    }

    /// The row that a completion with a result owes; registered with the result writer at once, so that no snapshot
    /// passes it.
    private func owedRow(_ events: [Event], _ position: LogPosition, _ state: ManagerState) -> OwedRow? {
        for event in events {
            switch event {
            case .completed(let done):
                guard let result = done.result else { continue }
                return results.owe(done.task, done.attempt, result, position, state)
            case .result(let task, _, let attempt, let result):
                return results.owe(task, attempt, result, position, state)
            default: continue
            }
        }
        return nil
    }
}
