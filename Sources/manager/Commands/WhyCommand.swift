import ArgumentParser
import EventLog
import Projections

/// `manager why TASK`: the chain of causes that brought a task to where it stands.
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Explain why a task stands where it stands: the chain of causes, newest first.",
        discussion: "Example: manager why exp1_0_42")

    @Argument(help: "The task's id.") var task: String
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            let state = try await momentOptions.state(dataOptions).state
            guard let number = state.taskNumber(task) else { throw VerbFailure("there is no task \(task)", status: 1) }
            let (id, journal) = (Array(task.utf8), dataOptions.data.journal)
            let causes = try await onThread(named: "why") {
                Result { () throws(JournalError) in
                    try TaskHistory.lines(of: id, in: journal, .position(state.position)) { line, _ in
                        Cause(line)
                    }
                }
            }.get()
            let line = state.taskLine(number)
            var text = "\(line.id) is \(line.status.word)\(Self.present(state, number, line))\n"
            for cause in causes.compactMap(\.self).reversed() { text += "  \(cause.text)\n" }
            Terminal.write(text)
        }
    }

    /// What keeps it now.
    private static func present(_ state: ManagerState, _ number: Int, _ task: ManagerState.TaskLine) -> String {
        guard task.status == .pending else { return "" }
        let awaited = state.awaitedPhases(number)
        guard !awaited.isEmpty else { return ": nobody has claimed it yet" }
        let phases = awaited.map { name -> String in
            guard let counts = state.counts(ofPhase: name), counts.total > 0 else { return "\(name) (no task yet)" }
            let open = TaskStatus.allCases.filter { $0 != .complete && counts[$0] > 0 }
            return "\(name) (\(open.map { "\(counts[$0]) \($0.word)" }.joined(separator: ", ")))"
        }
        let hope = state.isDone([number]) ? ", which can not become complete as things stand" : ""
        return ": it waits for \(phases.joined(separator: ", "))\(hope)"
    }
}

/// One event of a task as a cause, in words.
struct Cause: Sendable {
    /// Time, position and what happened.
    let text: String

    /// Nil for events that change nothing about where a task stands.
    init?(_ line: LogLine) {
        let event: EventView
        do throws(EventError) { event = try EventView(line.body) } catch { return nil }
        func words(_ bytes: EventView.Bytes?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
        let worker = words(event.worker) ?? "nobody"
        let what: String
        switch event.kind {
        case .added: what = "it was added to phase \(words(event.phase) ?? "")"
        case .assigned: what = "\(worker) claimed it (attempt \(event.attempt))"
        case .completed: what = "attempt \(event.attempt) of \(worker) completed"
        case .failed:
            let error = (words(event.error) ?? "").split(separator: "\n").last ?? ""
            what = "attempt \(event.attempt) of \(worker) failed: \(error)"
        case .requeued:
            what = "it went back to pending: \(Self.reason(words(event.reason)))\(Self.silence(line))"
        case .cancelled: what = "it was cancelled" + (words(event.reason).map { " (\($0))" } ?? "")
        case .held: what = "it was held: \(Self.held(words(event.reason)))"
        case .released: what = "it was released"
        case .prioritised: what = "its priority became \(event.priority)"
        case .extended, .result, .started, .csvRead, .note: return nil
        }
        let actor = words(event.actor).map { ", by \($0)" } ?? ""
        text = "\(line.time)  #\(line.position)  \(what)\(actor)"
    }

    private static func reason(_ word: String?) -> String {
        switch word {
        case "retry": "retries were left after the failure"
        case "stale": "its worker was silent for too long"
        case "worker_lost": "its worker was lost"
        case "returned": "its worker gave it back"
        case "operator": "an operator asked for it"
        default: word ?? "for no named reason"
        }
    }

    /// How long nothing was heard of it, and which limit that passed; nothing where the event does not tell.
    private static func silence(_ line: LogLine) -> String {
        guard let silence = Event.Silence(line.body) else { return "" }
        let rule =
            switch silence.rule {
            case .staleAfter: "--stale-after"
            case .workerTimeout: "--worker-timeout"
            case .phaseMedian: "--stale-factor times the phase's median run"
            }
        return " (nothing was heard of it for \(ProgressText.duration(silence.seconds)); the limit is "
            + "\(ProgressText.duration(silence.limitSeconds)): \(rule))"
    }

    private static func held(_ word: String?) -> String {
        word == "poison" ? "too many workers in a row were lost with it" : word ?? "an operator asked for it"
    }
}
