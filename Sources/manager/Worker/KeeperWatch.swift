import EventLog
import Glibc

/// The worker's side of a keeper, its own or one that it has taken up: stops it, and collects what it leaves.
struct KeeperWatch: Sendable {
    private let outbox: Outbox
    private let reference: AttemptReference
    private let worker: String
    private let host: String

    /// Watches the keeper of an attempt.
    init(_ outbox: Outbox, _ reference: AttemptReference, worker: String, host: String) {
        self.outbox = outbox
        self.reference = reference
        self.worker = worker
        self.host = host
    }

    /// Tells the keeper to end its program: SIGUSR1 where nobody wants the outcome any more, else SIGTERM. Returns at
    /// once; a keeper that has only just been started is told as soon as it can be.
    func stop(_ reason: StopReason) {
        startThread(named: "keeper-stop") {
            // It has its lock before it tells who it is; one that ends meanwhile needs no telling.
            for _ in 0..<500 {
                if let keeper = outbox.keeper(of: reference) {
                    _ = kill(keeper.pid, reason == .superseded ? SIGUSR1 : SIGTERM)
                    return
                }
                usleep(20_000)
            }
        }
    }

    /// What a keeper that has ended leaves. `said`: what it wrote to its standard output, an outcome that it could not
    /// keep.
    func collect(said: [UInt8], control: ProgramControl, trouble: String?) async -> ProgramRunner.End {
        let kept = await onThread(named: "keeper-end") { outbox.outcome(of: reference) }
        if let outcome = kept ?? read(said) {
            return ProgramRunner.End(outcome: outcome.outcome, report: outcome.report, hostTrouble: trouble)
        }
        let report = RunReport(host: host, durationSeconds: 0)
        var sentence = trouble
        do throws(OutboxError) { _ = try await outbox.endProcesses(of: reference) } catch { sentence = "\(error)" }
        // What it was writing when it was killed stays under its temporary name.
        let failure = await onThread(named: "keeper-clean") { () -> FileError? in
            do throws(FileError) {
                try outbox.removeTemporaryFiles(of: reference)
                return nil
            } catch { return error }
        }
        if let failure { sentence = failure.description }
        switch control.stopReason {
        case .superseded: return ProgramRunner.End(outcome: nil, report: report, hostTrouble: sentence)
        case .drained: return ProgramRunner.End(outcome: .returned, report: report, hostTrouble: sentence)
        case .timedOut, nil:
            let error = "the process that watched the program was killed; the program was ended"
            return ProgramRunner.End(
                outcome: .failed(error: trouble ?? error), report: report, hostTrouble: sentence)
        }
    }

    private func read(_ json: [UInt8]) -> KeptOutcome? {
        guard !json.isEmpty else { return nil }
        do throws(StrictJSON.Fault) { return try KeptOutcome(json: json) } catch { return nil }
    }
}
