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
            let data = try dataOptions.forReading()
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
                Terminal.write(
                    StatusTable.text(outcome.state, width: Terminal.width, hasColours: Terminal.hasColours))
            }
        }
    }
}

/// The table of `status`.
enum StatusTable {
    /// One line a phase, a line of totals, and what waits for ever. `width`: columns of the terminal, nil where there is
    /// none; on a narrow one, statuses that no task has are left out.
    static func text(_ state: ManagerState, width: Int? = nil, hasColours: Bool = false) -> String {
        let wide = table(state, TaskStatus.allCases).text(width: nil, hasColours: false)
        let isNarrow = width.map { $0 < wide.prefix { $0 != "\n" }.count } ?? false
        let shown = isNarrow ? TaskStatus.allCases.filter { state.counts[$0] > 0 } : TaskStatus.allCases
        var text = table(state, shown).text(width: width, hasColours: hasColours)
        text += "\n\(state.progress) complete, as of seq \(state.position)"
        if let time = state.time { text += " (\(time))" }
        text += "\n"
        for line in state.blockedPhases { text += "never claimable as things stand: \(line)\n" }
        return text
    }

    private static func table(_ state: ManagerState, _ statuses: [TaskStatus]) -> ListTable {
        var table = ListTable(
            [.init(title: "phase", canShrink: true)] + statuses.map { .init(title: $0.word, isRight: true) }
                + [.init(title: "total", isRight: true)])
        func add(_ name: String, _ counts: StatusCounts) {
            table.add(
                [.init(name)]
                    + statuses.map {
                        .init("\(counts[$0])", colour: counts[$0] > 0 ? ListTable.colour($0.word) : 2)
                    } + [.init("\(counts.total)")])
        }
        let names = state.phases
        for name in names { add(name, state.counts(ofPhase: name) ?? StatusCounts()) }
        if names.count != 1 { add("all", state.counts) }
        return table
    }
}
