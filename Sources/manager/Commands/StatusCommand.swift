import ArgumentParser
import EventLog
import Projections

/// `manager status`: how many tasks stand where.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how many tasks are pending, assigned, complete …, by phase.",
        discussion: "Examples: manager status --data-dir demo --at -10m; manager status --watch")

    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions
    @Flag(help: "One JSON object.") var json = false
    @Flag(help: "Go on showing it, until interrupted.") var watch = false

    func validate() throws {
        if watch, momentOptions.at != nil || momentOptions.seq != nil {
            throw ValidationError("--watch shows what is now; --at and --seq a moment that does not change")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.existing()
            if watch {
                let json = json
                return try await onThread(named: "watch") { Result { try StatusWatch(data, json: json).run() } }.get()
            }
            let moment = try momentOptions.moment()
            let outcome = try await onThread(named: "replay") { Result { try StateReader.state(data, at: moment) } }
                .get()
            Terminal.warnBeyond(outcome)
            if json {
                Terminal.write(StatusJSON.bytes(outcome.state, now: LogTime.now()) + [10])
            } else {
                Terminal.write(Array(StatusTable.text(outcome.state).utf8))
            }
        }
    }
}

/// The table of `status`.
enum StatusTable {
    /// One line a phase, a line of totals, and what waits for ever.
    static func text(_ state: ManagerState) -> String {
        let names = state.phases
        let width = max(5, names.map(\.count).max() ?? 0)
        var text = pad("phase", width)
        for status in TaskStatus.allCases { text += left(status.word, 11) }
        text += left("total", 9) + "\n"
        for name in names { text += pad(name, width) + row(state.counts(ofPhase: name) ?? StatusCounts()) }
        if names.count != 1 { text += pad("all", width) + row(state.counts) }
        text += "\n\(state.progress) complete, as of seq \(state.position)"
        if let time = state.time { text += " (\(time))" }
        text += "\n"
        for line in state.blockedPhases { text += "never claimable as things stand: \(line)\n" }
        return text
    }

    private static func row(_ counts: StatusCounts) -> String {
        TaskStatus.allCases.reduce("") { $0 + left(String(counts[$1]), 11) } + left(String(counts.total), 9) + "\n"
    }

    private static func pad(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func left(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }
}
