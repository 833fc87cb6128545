import ArgumentParser
import EventLog
import Projections

/// `manager export DIR`: a new data directory with the tasks as they are, or were.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Make a new data directory with the tasks as they are, or were at any moment.",
        discussion: """
            Tasks keep ids, content, status, attempts with their workers and times, retry_count and last_error; the new journal \
            begins at seq 1 with 'imported'. Result files and logs are not copied: copy those that are wanted. Also while a \
            manager runs; nothing is written to its directory.

            Examples:
              manager export --at 2026-11-03T14:05:00Z ../november
              manager export --data-dir runs --seq 4711 /tmp/runs-4711
            """)

    @Argument(help: "The new directory, which must not stand, or be empty.") var directory: String
    @OptionGroup var momentOptions: MomentOptions
    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "One JSON object.") var json = false

    func validate() throws {
        if directory.isEmpty { throw ValidationError("the new directory's name is empty") }
    }

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let path = directory.count > 1 && directory.hasSuffix("/") ? String(directory.dropLast()) : directory
            let run = ExportRun(data: data, target: path)
            let done = try await onThread(named: "export") {
                Result { try run.run(moment, actor: CommandLineActor.name) }
            }.get()
            Terminal.warnBeyond(done.isBeyondEnd, done.source)
            let counts = TaskStatus.allCases.map { "\"\($0.word)\":\(done.state.counts[$0])" }.joined(separator: ",")
            Terminal.write(
                Array(
                    (json
                        ? "{\"tasks\":\(done.state.taskCount),\(counts),\"from_seq\":\(done.source),\"seq\":\(done.state.position)}\n"
                        : "Exported \(done.state.taskCount) tasks as of seq \(done.source) to \(path): \(done.state.progress) complete\n")
                        .utf8))
        }
    }
}
