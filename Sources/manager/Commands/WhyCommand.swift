import ArgumentParser
import EventLog
import Projections

/// `manager why TASK`: the chain of causes that brought a task to where it stands.
struct WhyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why", abstract: "Explain why a task stands where it stands: the chain of causes, newest first.",
        discussion: "Example: manager why exp1_0_42 --at -2h")

    @Argument(help: "The task's id.") var task: String
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let id = task
            let text = try await onThread(named: "why") { Result { try Self.text(id, moment, data) } }.get()
            Terminal.write(text)
        }
    }

    private static func text(_ id: String, _ moment: Moment, _ data: DataDirectory) throws -> String {
        let reader = MomentReader(data)
        guard let found = try reader.task(id, at: moment) else {
            throw VerbFailure("there is no task \(id)", status: 1)
        }
        try Terminal.warnBeyond(moment, reader)
        let now = try reader.clock(of: moment)
        let story: TaskStory
        do { story = try TaskStory(found.events.lines, from: found.beginning, now: now) } catch {
            throw VerbFailure("\(error)", status: 1)
        }
        var why = WhyText(story: story, now: now)
        why.present = try present(found, reader)
        let text = why.text(id)
        guard text.isEmpty else { return text }
        // Only a gap can have taken the events of a task that the state knows.
        let status = found.state.taskLine(found.number).status.word
        return "\(id) is \(status); the events that put it there are missing in the journal\(why.present)\n"
    }

    /// What keeps a pending task: the phases before it, of which the whole state knows, or nobody's claim.
    private static func present(_ found: MomentReader.FoundTask, _ reader: MomentReader) throws -> String {
        let line = found.state.taskLine(found.number)
        guard line.status == .pending else { return "" }
        guard found.state.hasGate(found.number) else { return "; nobody has claimed it yet" }
        let state = try reader.state(at: .position(found.limit)).state
        guard let number = state.taskNumber(line.id) else { return "" }
        let awaited = state.awaitedPhases(number)
        guard !awaited.isEmpty else { return "; nobody has claimed it yet" }
        let phases = awaited.map { name -> String in
            guard let counts = state.counts(ofPhase: name), counts.total > 0 else { return "\(name) (no task yet)" }
            let open = TaskStatus.allCases.filter { $0 != .complete && counts[$0] > 0 }
            return "\(name) (\(open.map { "\(counts[$0]) \($0.word)" }.joined(separator: ", ")))"
        }
        let hope = state.isDone([number]) ? ", which can not become complete as things stand" : ""
        return "; it waits for \(phases.joined(separator: ", "))\(hope)"
    }
}
