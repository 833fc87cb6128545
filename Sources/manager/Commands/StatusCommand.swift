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
        if watch, momentOptions.isGiven {
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
            let found = try await onThread(named: "replay") { Result { try MomentReader(data).status(at: moment) } }
                .get()
            let status = found.summary
            Terminal.warn(found.isBeyondEnd, found.gaps, status.position)
            let disk = momentOptions.isGiven ? nil : try DiskUse(data, last: status.time)
            if json {
                Terminal.write(StatusJSON.bytes(status, now: moment.clock(status.time), disk: disk) + [10])
            } else {
                Terminal.write(StatusTable.text(status, width: Terminal.width, hasColours: Terminal.hasColours))
                if let disk { Terminal.write(Array(disk.text.utf8)) }
            }
        }
    }
}

/// The table of `status`.
enum StatusTable {
    /// One line a phase, a line of totals, and what waits for ever. `width`: columns of the terminal, nil where there is
    /// none; on a narrow one, statuses that no task has are left out.
    static func text(_ status: StatusSummary, width: Int? = nil, hasColours: Bool = false) -> String {
        let wide = table(status, TaskStatus.allCases).text(width: nil, hasColours: false)
        let isNarrow = width.map { $0 < wide.prefix { $0 != "\n" }.count } ?? false
        let shown = isNarrow ? TaskStatus.allCases.filter { status.counts[$0] > 0 } : TaskStatus.allCases
        var text = table(status, shown).text(width: width, hasColours: hasColours)
        text += "\n\(status.progress) complete, as of seq \(status.position)"
        if let time = status.time { text += " (\(time))" }
        text += "\n"
        for line in status.blocked { text += "never claimable as things stand: \(line)\n" }
        return text
    }

    private static func table(_ status: StatusSummary, _ statuses: [TaskStatus]) -> ListTable {
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
        for phase in status.phases { add(phase.name, phase.counts) }
        if status.phases.count != 1 { add("all", status.counts) }
        return table
    }
}
