import EventLog
import Logging

/// Takes outcomes from the outbox to the manager, and off the disk once the manager has (durably) answered.
struct OutcomeCourier: Sendable {
    /// The manager.
    let port: any WorkerPort
    /// Where outcomes stay until then.
    let outbox: Outbox
    /// For what is refused, or cannot be removed.
    let logger: Logger
    /// The waits between tries.
    var backoff = Backoff()

    /// Tells the manager once. `isRepeated`: it was tried before, and that it is kept was said then.
    func deliver(_ outcome: KeptOutcome, isRepeated: Bool = false) async -> DeliveryAnswer {
        let (task, attempt) = (outcome.reference.task, outcome.reference.attempt)
        let answer =
            switch outcome.outcome {
            case .complete(let result):
                await port.complete(
                    worker: outcome.worker, task: task, attempt: attempt, result: result, report: outcome.report)
            case .failed(let error):
                await port.fail(
                    worker: outcome.worker, task: task, attempt: attempt, error: error, report: outcome.report)
            case .returned: await port.giveBack(worker: outcome.worker, task: task, attempt: attempt)
            }
        let facts: Logger.Metadata = ["task": "\(task)", "attempt": "\(attempt)", "worker": "\(outcome.worker)"]
        switch answer {
        case .accepted: break
        case .refused(let reason):
            logger.warning("the manager does not take an attempt's end; it is dropped: \(reason)", metadata: facts)
        case .unavailable(let reason):
            logger.log(
                level: isRepeated ? .debug : .warning,
                "an attempt's end is kept and delivered later: \(reason)", metadata: facts)
        }
        return answer
    }

    /// Removes an outcome that was answered. What cannot be removed is delivered once more by the next start, and
    /// answered as a duplicate.
    func forget(_ reference: AttemptReference) async {
        await onDisk("remove an attempt's end", reference) { () throws(FileError) in try outbox.forget(reference) }
    }

    /// Delivers what an earlier process left, each until it is answered or the calling task is cancelled; the number
    /// that was answered.
    func deliverAll(_ outcomes: [KeptOutcome]) async -> Int {
        var answered = 0
        for outcome in outcomes {
            var failures = 0
            while case .unavailable = await deliver(outcome, isRepeated: failures > 0) {
                failures += 1
                let delay = backoff.delay(afterFailures: failures, jitter: Double.random(in: 0...1))
                do { try await Task.sleep(for: delay) } catch { return answered }
            }
            await forget(outcome.reference)
            answered += 1
        }
        return answered
    }

    /// Does something with the disk on a thread of its own; an error is logged, and nothing else: the caller says
    /// why that is enough.
    func onDisk(
        _ intent: String, _ reference: AttemptReference, _ body: @escaping @Sendable () throws(FileError) -> Void
    ) async {
        let failure = await onThread(named: "outbox") { () -> FileError? in
            do throws(FileError) {
                try body()
                return nil
            } catch { return error }
        }
        guard let failure else { return }
        logger.error(
            "cannot \(intent): \(failure)",
            metadata: ["task": "\(reference.task)", "attempt": "\(reference.attempt)"])
    }
}
