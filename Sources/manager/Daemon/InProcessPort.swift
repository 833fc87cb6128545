import EventLog
import Projections
import Synchronization

/// The manager as a worker in the same process sees it. Every answer is durable, and its row is written.
struct InProcessPort: WorkerPort {
    let processor: CommandProcessor
    let host: String
    /// The GPU of the slot that asks; nil where it has none.
    var gpu: Int?

    func claim(
        worker: String, count: Int, wait: Duration, heartbeat: Duration
    ) async throws(WorkerPortError) -> [ClaimedTask] {
        var request = ManagerState.ClaimRequest(worker: worker, count: count)
        request.heartbeatSeconds = heartbeat.seconds
        request.host = host
        request.gpu = gpu.map(Int64.init)
        let (answers, found) = AsyncStream<([ManagerState.ClaimedTask], LogPosition)>.makeStream()
        let claim: CommandProcessor.Claim
        do throws(Rejection) {
            claim = try processor.claim(request, actor: "run", waits: { found.yield(($0, $1)) })
        } catch {
            switch error.code {
            case .diskFull, .busy: throw .unavailable(error.detail)
            default: throw .refused(error.detail)
            }
        }
        switch claim {
        case .tasks(let tasks, let position):
            await processor.publisher.durable(position)
            return tasks.map(Self.claimed)
        case .waiting(let id):
            let timer = Task { [processor] in
                // A cancelled sleep ends the wait at once, which is what is wanted.
                do { try await Task.sleep(for: wait) } catch {}
                let stopped = processor.stopWaiting(id)
                if stopped.wasWaiting { found.yield(([], stopped.position)) }
            }
            let answer = await withTaskCancellationHandler {
                await Self.first(answers)
            } onCancel: {
                timer.cancel()
            }
            timer.cancel()
            guard let answer else { return [] }
            await processor.publisher.durable(answer.1)
            return answer.0.map(Self.claimed)
        }
    }

    /// The first answer, also when the calling task is cancelled: its assignment must not be lost.
    private static func first(
        _ answers: AsyncStream<([ManagerState.ClaimedTask], LogPosition)>
    ) async -> ([ManagerState.ClaimedTask], LogPosition)? {
        await Task {
            for await answer in answers { return answer as ([ManagerState.ClaimedTask], LogPosition)? }
            return nil
        }.value
    }

    func complete(
        worker: String, task: String, attempt: UInt32, result: [UInt8]?, report: RunReport
    ) async -> DeliveryAnswer {
        await deliver { () throws(Rejection) in
            try processor.complete(
                task, by: ManagerState.Speaker(worker: worker, attempt: attempt), result: result, actor: "run",
                provenance: Event.Provenance(report))
        }
    }

    func fail(
        worker: String, task: String, attempt: UInt32, error: String, report: RunReport
    ) async -> DeliveryAnswer {
        await deliver { () throws(Rejection) in
            try processor.fail(
                task, by: ManagerState.Speaker(worker: worker, attempt: attempt), error: error, actor: "run",
                provenance: Event.Provenance(report))
        }
    }

    func giveBack(worker: String, task: String, attempt: UInt32) async -> DeliveryAnswer {
        await deliver { () throws(Rejection) in
            try processor.takeBack(task, by: ManagerState.Speaker(worker: worker, attempt: attempt), actor: "run")
        }
    }

    private func deliver(
        _ decide: () throws(Rejection) -> CommandProcessor.Decided<CommandProcessor.Reported>
    ) async -> DeliveryAnswer {
        let decided: CommandProcessor.Decided<CommandProcessor.Reported>
        do throws(Rejection) { decided = try decide() } catch {
            switch error.code {
            case .diskFull, .busy: return .unavailable(error.detail)
            default: return .refused(error.detail)
            }
        }
        await processor.publisher.durable(decided.position)
        if let ignored = decided.answer.ignored { return .refused(ignored.detail) }
        if let row = decided.answer.row {
            await withCheckedContinuation { continuation in processor.results.write(row) { continuation.resume() } }
        }
        return .accepted(late: decided.answer.isLate, duplicate: decided.answer.isDuplicate)
    }

    func heartbeat(worker: String, attempts: [AttemptReference], wait: Duration) async -> [HeartbeatAnswer] {
        let beat = beat(worker, attempts)
        guard !beat.contains(.stop), wait > .zero else { return beat }
        let (stops, stop) = AsyncStream<Void>.makeStream()
        let id = processor.waitForStop(worker: worker, attempts) { _ in stop.yield() }
        let timer = Task {
            do { try await Task.sleep(for: wait) } catch {}  // cancelled: the wait is over
            stop.yield()
        }
        for await _ in stops { break }
        timer.cancel()
        _ = processor.stopWaiting(id)
        return self.beat(worker, attempts)
    }

    func heartbeat(
        worker: String, attempts: [AttemptReference], progress: Double?, wait: Duration
    ) async -> [HeartbeatAnswer] {
        if let progress { for attempt in attempts { processor.noteProgress(attempt, progress) } }
        return await heartbeat(worker: worker, attempts: attempts, wait: wait)
    }

    private func beat(_ worker: String, _ attempts: [AttemptReference]) -> [HeartbeatAnswer] {
        processor.heartbeat(worker: worker, attempts.map { ($0.task, $0.attempt) }).answer.map { answer in
            switch answer {
            case .success(let cancel): cancel ? .stop : .goOn
            case .failure(let refused): refused.isUnclaimedLoss ? .goOn : .stop
            }
        }
    }

    private static func claimed(_ task: ManagerState.ClaimedTask) -> ClaimedTask {
        ClaimedTask(
            id: task.id, phase: task.phase, config: task.config, seed: task.seed,
            outputDirectory: task.outputDirectories.first ?? "", outputDirectories: task.outputDirectories,
            attempt: task.attempt, timeoutSeconds: task.timeoutSeconds, command: task.command,
            environment: task.environment, workingDirectory: task.workingDirectory)
    }
}

extension Event.Provenance {
    /// What a worker tells of a run.
    init(_ report: RunReport) {
        self.init()
        host = report.host
        program = report.program
        exitCode = report.exitCode.map { Int64($0) }
        signal = report.signal.map { Int64($0) }
        durationSeconds = (report.durationSeconds * 1000).rounded() / 1000
        maxRSSBytes = report.maxRSSBytes
    }
}
