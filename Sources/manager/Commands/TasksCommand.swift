import ArgumentParser
import EventLog
import Projections

/// `manager tasks`: the list of tasks.
struct TasksCommand: AsyncParsableCommand {
    /// Rows of the table where no limit is asked for.
    private static let usualRows = 100

    static let configuration = CommandConfiguration(
        commandName: "tasks", abstract: "List tasks, all or some; with --json one object a line.",
        discussion: """
            Examples:
              manager tasks --status failed
              manager tasks --phase exp1 --json | jq -r 'select(.retry_count > 0) | .task_id'
            """)

    @Option(help: "Only tasks with this status; repeatable.") var status: [String] = []
    @Option(help: "Only tasks of this phase.") var phase: String?
    @Option(help: "Only tasks that this worker holds or held last.") var worker: String?
    @Option(help: "At most so many; 0: all (100 for the table, all for --json).") var limit: Int?
    @Flag(help: "One JSON object a line, as in manager_state.json.") var json = false
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func validate() throws {
        for word in status where TaskStatus(word: word) == nil {
            throw ValidationError("--status \(word) is none: \(TaskStatus.words)")
        }
        if let limit, limit < 0 { throw ValidationError("--limit \(limit) is negative") }
    }

    func run() async throws {
        try await Terminal.ending {
            let outcome = try await momentOptions.state(dataOptions)
            if let problem = outcome.state.problem(withPhase: phase) { throw VerbFailure(problem, status: 1) }
            var filter = TaskFilter()
            filter.statuses = Set(status.compactMap(TaskStatus.init(word:)))
            filter.phase = phase
            filter.worker = worker
            let most = limit ?? (json ? 0 : Self.usualRows)
            let page = outcome.state.tasks(matching: filter, limit: most == 0 ? .max : most)
            if json { Self.writeLines(page, outcome.state) } else { Self.writeTable(page, outcome.state, filter) }
        }
    }

    private static func writeLines(_ page: ManagerState.TaskPage, _ state: ManagerState) {
        var out: [UInt8] = []
        for number in page.numbers {
            state.appendTask(number, to: &out)
            out.append(10)
            if out.count > 64 << 10 {
                Terminal.write(out)
                out.removeAll(keepingCapacity: true)
            }
        }
        Terminal.write(out)
    }

    private static func writeTable(_ page: ManagerState.TaskPage, _ state: ManagerState, _ filter: TaskFilter) {
        guard !page.numbers.isEmpty else { return Terminal.write("no task\n") }
        var table = ListTable([
            .init(title: "task", canShrink: true), .init(title: "status"), .init(title: "attempt", isRight: true),
            .init(title: "retries", isRight: true), .init(title: "worker"), .init(title: "note", canShrink: true),
        ])
        for number in page.numbers {
            let task = state.taskLine(number)
            table.add([
                .init(task.id), .init(task.status.word, colour: ListTable.colour(task.status.word)),
                .init("\(task.attempt)"), .init("\(task.retryCount)"), .init(task.worker ?? ""),
                .init(note(task, state, number)),
            ])
        }
        Terminal.write(table.forStandardOutput)
        if page.hasMore {
            let all = state.tasks(matching: filter).numbers.count
            Terminal.write("… and \(all - page.numbers.count) more (--limit 0 shows all)\n")
        }
    }

    /// What keeps or ended a task, in a few words.
    private static func note(_ task: ManagerState.TaskLine, _ state: ManagerState, _ number: Int) -> String {
        if let error = task.lastError, task.status != .complete {
            return error.split(separator: "\n").last.map(String.init) ?? error
        }
        if let reason = task.reason { return reason }
        guard task.status == .pending else { return "" }
        let awaited = state.awaitedPhases(number)
        return awaited.isEmpty ? "" : "waits for \(awaited.joined(separator: ", "))"
    }
}

extension MomentOptions {
    /// The state at the moment that is asked for; warns where that lies beyond the journal's end.
    func state(_ dataOptions: DataOptions) async throws -> MomentReader.Found {
        let data = try dataOptions.forReading()
        let moment = try moment()
        let found = try await onThread(named: "replay") { Result { try MomentReader(data).state(at: moment) } }.get()
        Terminal.warn(found.isBeyondEnd, found.gaps, found.state.position)
        return found
    }
}
