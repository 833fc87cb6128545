import EventLog
import Projections
import Synchronization

/// A claim that waits for a task. `answer` is called once, with the core held: it must only hand on.
struct ClaimWaiter: Sendable {
    let id: UInt64
    let request: ManagerState.ClaimRequest
    let actor: String?
    let answer: @Sendable ([ManagerState.ClaimedTask], LogPosition) -> Void
}

/// A heartbeat that waits until one of its attempts is to stop.
struct HeartbeatWaiter: Sendable {
    let id: UInt64
    let worker: String
    let attempts: [AttemptReference]
    let answer: @Sendable (LogPosition) -> Void
}

extension CommandProcessor {
    /// What became of a claim.
    enum Claim: Sendable {
        /// These tasks, maybe none.
        case tasks([ManagerState.ClaimedTask], LogPosition)
        /// It waits under this number; `answer` will be called.
        case waiting(UInt64)
    }

    /// Claims tasks; waits where there are none and `waits` is given.
    func claim(
        _ request: ManagerState.ClaimRequest, actor: String?, losing: ManagerState.Lost = .nothing,
        willCommit: Bool = false,
        waits: (@Sendable ([ManagerState.ClaimedTask], LogPosition) -> Void)? = nil
    ) throws(Rejection) -> Claim {
        if let problem = Bounds.problem(withName: request.worker, what: "worker_id") {
            throw Rejection(.invalid, problem)
        }
        var refused: Rejection?
        let claim = core.withLock { core -> Claim in
            do throws(Rejection) {
                if let tasks = try repeated(request, &core) { return .tasks(tasks, core.state.position) }
                try admit(bytes: 512 * request.count, core)
                var request = request
                core.seen[request.worker] = clock.steady()
                if waits != nil { request.passesOwnFailuresAfter = elsewhereFirst(request.worker, core) }
                let tasks = takeTasks(request, actor, losing, &core, willCommit)
                if tasks.isEmpty, let waits {
                    let id = core.nextWaiter
                    core.nextWaiter += 1
                    core.waiters.append(ClaimWaiter(id: id, request: request, actor: actor, answer: waits))
                    return .waiting(id)
                }
                return .tasks(tasks, core.state.position)
            } catch { refused = error }
            return .tasks([], core.state.position)
        }
        if let refused { throw refused }
        return claim
    }

    /// What a claim gets whose key was named before; nil for a new one. One with the same key that still waits is
    /// answered with nothing: its client has asked anew.
    private func repeated(
        _ request: ManagerState.ClaimRequest, _ core: inout Core
    ) throws(Rejection) -> [ManagerState.ClaimedTask]? {
        guard let key = request.key else { return nil }
        for waiter in core.waiters where waiter.request.key == key && waiter.request.worker == request.worker {
            waiter.answer([], core.state.position)
        }
        core.waiters.removeAll { $0.request.key == key && $0.request.worker == request.worker }
        guard let tasks = try core.state.repeatedClaim(request, now: clock.wall()) else { return nil }
        for task in tasks { core.handedOutAgain.insert(AttemptReference(task: task.id, attempt: task.attempt)) }
        core.seen[request.worker] = clock.steady()
        note(tasks, &core)
        return tasks
    }

    private func takeTasks(
        _ request: ManagerState.ClaimRequest, _ actor: String?, _ losing: ManagerState.Lost, _ core: inout Core,
        _ willCommit: Bool
    ) -> [ManagerState.ClaimedTask] {
        let signs = core.signs
        let lost = core.state.decideLost(losing, worker: request.worker, poisonAfter: poisonAfter) {
            signs[AttemptReference(task: $0, attempt: $1)] != nil
        }
        guard lost.isEmpty else { return takeAfterLoss(lost, request, actor, &core, willCommit) }
        guard !isQuarantined(request.worker, core) else { return [] }
        let (events, tasks, _) = core.state.decideClaim(request)
        guard !events.isEmpty else { return [] }
        _ = commit(events, actor: actor, &core, willCommit: willCommit)
        note(tasks, &core)
        return tasks
    }

    /// The loss and the new assignment are one command: decided on a copy, where the loss has happened already.
    private func takeAfterLoss(
        _ lost: [Event], _ request: ManagerState.ClaimRequest, _ actor: String?, _ core: inout Core, _ willCommit: Bool
    ) -> [ManagerState.ClaimedTask] {
        var trial = core.state
        let now = trial.time ?? clock.wall()
        for event in lost {
            var body: [UInt8] = []
            event.encode(actor: actor, to: &body)
            body.withUnsafeBufferPointer { bytes in
                do throws(EventError) {
                    trial.apply(try EventView(bytes), at: trial.position, time: now, crc: trial.crc)
                } catch { preconditionFailure("an event of our own cannot be read: \(error)") }
            }
        }
        var (events, tasks): ([Event], [ManagerState.ClaimedTask]) = ([], [])
        if !isQuarantined(request.worker, core) { (events, tasks, _) = trial.decideClaim(request) }
        _ = commit(lost + events, actor: actor, &core, willCommit: willCommit)
        note(tasks, &core)
        serveWaiters(&core)
        answerHeartbeats(&core)
        return tasks
    }

    private func note(_ tasks: [ManagerState.ClaimedTask], _ core: inout Core) {
        let now = clock.steady()
        for task in tasks { core.signs[AttemptReference(task: task.id, attempt: task.attempt)] = now }
    }

    /// Gives tasks to claims that wait, first come first served. Whenever tasks may have become pending.
    func serveWaiters(_ core: inout Core) {
        var index = 0
        while index < core.waiters.count, core.state.counts[.pending] > 0 {
            let waiter = core.waiters[index]
            guard !isQuarantined(waiter.request.worker, core) else {
                index += 1
                continue
            }
            var request = waiter.request
            request.passesOwnFailuresAfter = elsewhereFirst(request.worker, core)
            let (events, tasks, passedOver) = core.state.decideClaim(request)
            guard !events.isEmpty else {
                // Nothing for anybody, or only what this one has failed: the next may have it.
                guard passedOver > 0 else { return }
                index += 1
                continue
            }
            core.waiters.remove(at: index)
            let position = commit(events, actor: waiter.actor, &core)
            note(tasks, &core)
            waiter.answer(tasks, position)
        }
    }

    /// Takes a waiting claim or heartbeat back; false when it has been answered already. The position is what an empty
    /// answer was decided on.
    func stopWaiting(_ id: UInt64) -> (wasWaiting: Bool, position: LogPosition) {
        core.withLock { core in
            let before = core.waiters.count + core.heartbeatWaiters.count
            core.waiters.removeAll { $0.id == id }
            core.heartbeatWaiters.removeAll { $0.id == id }
            return (core.waiters.count + core.heartbeatWaiters.count < before, core.state.position)
        }
    }

    /// Gives back tasks whose answer could not be written, but not what the same claim, repeated, was given again.
    func giveBack(_ tasks: [ManagerState.ClaimedTask], worker: String, actor: String?) {
        core.withLock { core in
            for task in tasks {
                let attempt = AttemptReference(task: task.id, attempt: task.attempt)
                guard !core.handedOutAgain.contains(attempt) else { continue }
                do throws(Rejection) {
                    let report = try core.state.decideReturn(
                        task.id, by: ManagerState.Speaker(worker: worker, attempt: task.attempt))
                    if case .events(let events, _) = report { append(events, actor: actor, &core, false) }
                } catch { continue }  // it ended meanwhile: nothing to give back
            }
        }
    }

    // MARK: - Heartbeats

    /// Notes that attempts are alive. For each: nil where it is running, `true` in `cancel` where it is to stop.
    func heartbeat(worker: String?, _ items: [(task: String, attempt: UInt32?)]) -> Decided<[Result<Bool, Rejection>]> {
        core.withLock { core in
            let now = clock.steady()
            if let worker { core.heartbeats[worker] = clock.wall() }
            let answers = items.map { item -> Result<Bool, Rejection> in
                do throws(Rejection) {
                    let beat = try core.state.decideHeartbeat(
                        item.task, by: ManagerState.Speaker(worker: worker, attempt: item.attempt))
                    core.signs[AttemptReference(task: item.task, attempt: beat.attempt)] = now
                    return .success(beat.cancel)
                } catch { return .failure(error) }
            }
            return Decided(answer: answers, position: core.state.position)
        }
    }

    /// Notes how far a running attempt says it is; anything outside 0…1 is no answer.
    func noteProgress(_ attempt: AttemptReference, _ progress: Double) {
        guard progress >= 0, progress <= 1 else { return }
        core.withLock { core in
            guard core.signs[attempt] != nil else { return }
            core.progress[attempt] = progress
        }
    }

    /// Forgets what was heard of attempts that do not run any more. The caller holds the core.
    func forgetEnded(but running: [ManagerState.RunningAttempt], _ core: inout Core) {
        guard
            core.signs.count > running.count || core.progress.count > running.count
                || core.handedOutAgain.count > running.count
        else { return }
        let kept = Set(running.map { AttemptReference(task: $0.task, attempt: $0.attempt) })
        core.signs = core.signs.filter { kept.contains($0.key) }
        core.progress = core.progress.filter { kept.contains($0.key) }
        core.handedOutAgain.formIntersection(kept)
    }

    /// Calls `answer` when one of the attempts is to stop; the caller sees to the time limit by `stopWaiting`.
    func waitForStop(
        worker: String, _ attempts: [AttemptReference], _ answer: @escaping @Sendable (LogPosition) -> Void
    ) -> UInt64 {
        core.withLock { core in
            let id = core.nextWaiter
            core.nextWaiter += 1
            core.heartbeatWaiters.append(HeartbeatWaiter(id: id, worker: worker, attempts: attempts, answer: answer))
            answerHeartbeats(&core)
            return id
        }
    }

    /// Answers heartbeats that wait for an attempt which is not running any more.
    func answerHeartbeats(_ core: inout Core) {
        guard !core.heartbeatWaiters.isEmpty else { return }
        var remaining: [HeartbeatWaiter] = []
        for waiter in core.heartbeatWaiters {
            let goesOn = waiter.attempts.allSatisfy { item in
                do throws(Rejection) {
                    return try !core.state.decideHeartbeat(
                        item.task, by: ManagerState.Speaker(worker: waiter.worker, attempt: item.attempt)
                    ).cancel
                } catch { return false }
            }
            if goesOn { remaining.append(waiter) } else { waiter.answer(core.state.position) }
        }
        core.heartbeatWaiters = remaining
    }
}
