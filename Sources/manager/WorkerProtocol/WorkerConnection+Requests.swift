import EventLog
import NIOCore
import Projections

/// What each request means.
extension WorkerConnection {
    func decideOld(_ request: WorkerRequest, _ id: UInt64) {
        let speaker = ManagerState.Speaker(worker: request.worker, attempt: request.attempt)
        do throws(Rejection) {
            switch request.type {
            case "request_task":
                let claim = try processor.claim(
                    try claimRequest(request), actor: door.actor, losing: .fromEarlierRun, willCommit: true)
                guard case .tasks(let tasks, let position) = claim else { return }
                guard let task = tasks.first else { return answer(id, WorkerAnswer.noTask, at: position) }
                let bytes = WorkerAnswer.task(task, withAttempt: speaksLines)
                if bytes.count > Limits.oldFormAnswerBytes, !speaksLines {
                    warn("the answer for task \(task.id) has \(bytes.count) bytes; old workers read only 8192")
                }
                answer(id, bytes, at: position, claimed: tasks, worker: request.worker ?? "")
            case "task_complete", "submit_result":
                let result = request.type == "submit_result" ? request.result : nil
                if request.type == "submit_result", result == nil {
                    throw Rejection(.invalid, "submit_result needs result_data, a JSON object")
                }
                let decided = try processor.complete(
                    try task(request), by: speaker, result: result, actor: door.actor, willCommit: true)
                answer(id, WorkerAnswer.acknowledged, after: decided)
            case "task_failed":
                let decided = try processor.fail(
                    try task(request), by: speaker, error: request.error ?? "task failed", actor: door.actor,
                    willCommit: true)
                answer(id, WorkerAnswer.acknowledged, after: decided)
            case "status":
                let read = processor.read { WorkerAnswer.status($0) }
                answer(id, read.answer, at: read.position)
            default: throw Rejection(.invalid, "unknown request type '\(request.type)'")
            }
        } catch { refuse(id, error) }
    }

    func decideFast(_ request: WorkerRequest, _ id: UInt64) {
        if request.type == "auth" {
            let objection = door.enter(request.token)
            return answer(
                id, objection.map { WorkerAnswer.error($0) } ?? WorkerAnswer.acknowledged, at: .zero,
                closes: objection != nil)
        }
        if let objection = door.objection(to: request.type) {
            return answer(id, WorkerAnswer.error(objection), at: .zero)
        }
        do throws(Rejection) {
            switch request.type {
            case "add":
                guard request.hasTasks else { throw Rejection(.invalid, "add needs tasks, a list") }
                let decided = try processor.add(request.tasks, actor: door.actor, willCommit: true)
                answer(id, WorkerAnswer.added(decided.answer), at: decided.position)
            case "claim": try claim(request, id)
            case "complete", "fail", "return", "heartbeat":
                guard request.hasItems else { throw Rejection(.invalid, "\(request.type) needs items, a list") }
                if request.type == "heartbeat" { heartbeat(request, id) } else { report(request, id) }
            default: decideOld(request, id)
            }
        } catch { refuse(id, error) }
    }

    /// What an event that is not durable yet was the reason of waits for it, too.
    private func refuse(_ id: UInt64, _ rejection: Rejection) {
        answer(id, WorkerAnswer.error(rejection.detail), at: processor.read { _ in }.position)
    }

    private func task(_ request: WorkerRequest) throws(Rejection) -> String {
        guard let task = request.task else { throw Rejection(.invalid, "\(request.type) needs task_id") }
        return task
    }

    private func claimRequest(_ request: WorkerRequest) throws(Rejection) -> ManagerState.ClaimRequest {
        guard let worker = request.worker else { throw Rejection(.invalid, "\(request.type) needs worker_id") }
        guard (1...1000).contains(request.count) else {
            throw Rejection(.invalid, "count is \(request.count), 1 to 1000 are allowed")
        }
        guard (0...60).contains(request.waitSeconds) else {
            throw Rejection(.invalid, "wait_s is \(request.waitSeconds), 0 to 60 are allowed")
        }
        if let heartbeat = request.heartbeatSeconds, !(0.1...86_400).contains(heartbeat) {
            throw Rejection(.invalid, "heartbeat_s is \(heartbeat), 0.1 to 86400 are allowed")
        }
        var claim = ManagerState.ClaimRequest(worker: worker, count: Int(request.count))
        claim.gpu = request.gpu
        claim.heartbeatSeconds = request.heartbeatSeconds
        claim.host = request.host
        return claim
    }

    private func claim(_ request: WorkerRequest, _ id: UInt64) throws(Rejection) {
        let claim = try claimRequest(request)
        let eventLoop = loop.eventLoop
        let box = NIOLoopBound(self, eventLoop: eventLoop)
        let processor = processor
        let whenFound: @Sendable ([ManagerState.ClaimedTask], LogPosition) -> Void = { tasks, position in
            eventLoop.execute {
                box.value.answer(id, WorkerAnswer.tasks(tasks), at: position, claimed: tasks, worker: claim.worker)
            }
        }
        switch try processor.claim(
            claim, actor: door.actor, losing: request.isRestart ? .everything : .nothing, willCommit: true,
            waits: request.waitSeconds > 0 ? whenFound : nil)
        {
        case .tasks(let tasks, let position):
            let isQuarantined = tasks.isEmpty && processor.isQuarantined(claim.worker)
            answer(
                id, WorkerAnswer.tasks(tasks, isQuarantined: isQuarantined), at: position, claimed: tasks,
                worker: claim.worker)
        case .waiting(let waiter):
            wait(for: waiter, seconds: request.waitSeconds) { connection in
                let stopped = processor.stopWaiting(waiter)
                guard stopped.wasWaiting else { return }
                let isQuarantined = processor.isQuarantined(claim.worker)
                connection.answer(
                    id, WorkerAnswer.tasks([], isQuarantined: isQuarantined), at: stopped.position)
            }
        }
    }

    private func report(_ request: WorkerRequest, _ id: UInt64) {
        var answers: [[UInt8]] = []
        var rows: [OwedRow] = []
        var position = LogPosition.zero
        for item in request.items {
            let speaker = ManagerState.Speaker(worker: request.worker, attempt: item.attempt)
            do throws(Rejection) {
                let decided: CommandProcessor.Decided<CommandProcessor.Reported>
                switch request.type {
                case "complete":
                    decided = try processor.complete(
                        item.task, by: speaker, result: item.result, actor: door.actor, provenance: item.provenance,
                        willCommit: true)
                case "fail":
                    decided = try processor.fail(
                        item.task, by: speaker, error: item.error ?? "task failed", actor: door.actor,
                        provenance: item.provenance, willCommit: true)
                default: decided = try processor.takeBack(item.task, by: speaker, actor: door.actor, willCommit: true)
                }
                answers.append(WorkerAnswer.item(item.task, decided.answer))
                if let row = decided.answer.row { rows.append(row) }
                position = max(position, decided.position)
            } catch {
                answers.append(WorkerAnswer.item(item.task, error))
                position = max(position, processor.read { _ in }.position)
            }
        }
        answer(id, WorkerAnswer.done(answers), afterRows: rows, at: position)
    }

    private func heartbeat(_ request: WorkerRequest, _ id: UInt64) {
        let items = request.items.map { ($0.task, $0.attempt) }
        let beat = processor.heartbeat(worker: request.worker, items)
        for item in request.items {
            guard let progress = item.progress, let attempt = item.attempt else { continue }
            processor.noteProgress(AttemptReference(task: item.task, attempt: attempt), progress)
        }
        let names = request.items.map(\.task)
        @Sendable func line(_ answers: [Result<Bool, Rejection>]) -> [UInt8] {
            WorkerAnswer.done(zip(names, answers).map { WorkerAnswer.heartbeat($0, $1) })
        }
        let stops = beat.answer.contains { answer in
            if case .success(let cancel) = answer { cancel } else { true }
        }
        guard request.waitSeconds > 0, !stops else { return answer(id, line(beat.answer), at: beat.position) }
        let eventLoop = loop.eventLoop
        let box = NIOLoopBound(self, eventLoop: eventLoop)
        let (processor, worker) = (processor, request.worker)
        @Sendable func finish() {
            let now = processor.heartbeat(worker: worker, items)
            // An attempt that was taken when the wait began and has ended since: its program is to stop.
            let answers = now.answer.map { answer -> Result<Bool, Rejection> in
                if case .failure(let refused) = answer, !refused.isUnclaimedLoss { .success(true) } else { answer }
            }
            box.value.answer(id, line(answers), at: now.position)
        }
        let waiter = processor.waitForStop(
            worker: worker ?? "", request.items.map { AttemptReference(task: $0.task, attempt: $0.attempt ?? 0) }
        ) { _ in eventLoop.execute { finish() } }
        wait(for: waiter, seconds: min(request.waitSeconds, 60)) { _ in
            if processor.stopWaiting(waiter).wasWaiting { finish() }
        }
    }

    /// Ends a wait after so many seconds, or sooner when the client has nothing more to ask.
    private func wait(for waiter: UInt64, seconds: Double, _ end: @escaping (WorkerConnection) -> Void) {
        let box = NIOLoopBound(self, eventLoop: loop.eventLoop)
        let ending = NIOLoopBound({ end(box.value) }, eventLoop: loop.eventLoop)
        waiting[waiter] = ending.value
        loop.eventLoop.scheduleTask(in: .milliseconds(Int64(seconds * 1000))) {
            box.value.waiting[waiter] = nil
            ending.value()
        }
    }

    // MARK: - Answers that wait for rows

    private func answer(
        _ id: UInt64, _ bytes: [UInt8], after decided: CommandProcessor.Decided<CommandProcessor.Reported>
    ) {
        answer(id, bytes, afterRows: decided.answer.row.map { [$0] } ?? [], at: decided.position)
    }

    /// Answers when the rows are written, each after its event is durable.
    private func answer(_ id: UInt64, _ bytes: [UInt8], afterRows rows: [OwedRow], at position: LogPosition) {
        guard let last = rows.last else { return answer(id, bytes, at: position) }
        let eventLoop = loop.eventLoop
        let box = NIOLoopBound(self, eventLoop: eventLoop)
        let processor = processor
        processor.publisher.whenDurable(last.position) {
            for row in rows.dropLast() { processor.results.write(row) {} }
            processor.results.write(last) { eventLoop.execute { box.value.answer(id, bytes, at: position) } }
        }
        // Something must commit although no answer is due yet.
        loop.enqueue(self)
    }
}
