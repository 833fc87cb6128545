import EventLog
import Glibc
import Projections

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

    /// How a keeper ended.
    enum Ending: Sendable, Equatable {
        /// By itself. What it says is why it could not do its work; nil where all went well.
        case exited(trouble: String?)
        /// By a signal that nobody here sent.
        case killed
        /// It never began.
        case notStarted(String)
        /// It was no child of this process.
        case unseen
    }

    /// What a keeper that has ended leaves. `said`: what it wrote to its standard output, an outcome that it could not
    /// keep. One that ended by itself without an outcome has run nothing (the disk was full, say): the task goes back.
    func collect(said: [UInt8], control: ProgramControl, _ ending: Ending) async -> ProgramRunner.End {
        let left = await onThread(named: "keeper-end") {
            // It notes itself before it starts its program.
            (outcome: outbox.outcome(of: reference), hasBegun: outbox.hasFile(of: reference, .keeper))
        }
        var trouble: String?
        switch ending {
        case .exited(let sentence): trouble = sentence
        case .notStarted(let sentence): trouble = sentence
        case .killed, .unseen: break
        }
        if let outcome = left.outcome ?? read(said) {
            return ProgramRunner.End(outcome: outcome.outcome, report: outcome.report, hostTrouble: trouble)
        }
        let report = RunReport(host: host, durationSeconds: 0)
        do throws(OutboxError) { _ = try await outbox.endProcesses(of: reference) } catch { trouble = "\(error)" }
        // What it was writing when it was killed stays under its temporary name.
        let failure = await onThread(named: "keeper-clean") { () -> FileError? in
            do throws(FileError) {
                try outbox.removeTemporaryFiles(of: reference)
                return nil
            } catch { return error }
        }
        if let failure { trouble = failure.description }
        switch control.stopReason {
        case .superseded: return ProgramRunner.End(outcome: nil, report: report, hostTrouble: trouble)
        case .drained: return ProgramRunner.End(outcome: .returned, report: report, hostTrouble: trouble)
        case .timedOut, nil: break
        }
        let wasKilled = ending == .killed || ending == .unseen && left.hasBegun
        guard wasKilled else {
            let sentence = trouble ?? "the keeper of the program ended before it began"
            return ProgramRunner.End(outcome: .returned, report: report, hostTrouble: sentence)
        }
        let error = "the process that watched the program was killed; the program was ended"
        return ProgramRunner.End(outcome: .failed(error: error), report: report, hostTrouble: trouble)
    }

    private func read(_ json: [UInt8]) -> KeptOutcome? {
        guard !json.isEmpty else { return nil }
        do throws(JSONError) { return try KeptOutcome(json: json) } catch { return nil }
    }
}
