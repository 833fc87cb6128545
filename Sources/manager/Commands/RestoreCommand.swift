import ArgumentParser
import EventLog
import Projections

/// `manager restore`: the tasks as they stood at another moment.
struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring every task's status and retry_count back to those of a moment, by new events.",
        discussion: """
            Nothing is cut from the journal: what happened since stays in it, and a restore can be restored. What was assigned \
            at the moment becomes pending, what was added since becomes cancelled; attempts go on counting; priorities, output \
            directories and result rows stay as they are. Result files are read first, so that their rows complete nothing \
            again. A backup is written before and after. Ended half way, run it again with the seq that --dry-run shows.

            Examples:
              manager restore --at -90m --dry-run
              manager restore --seq 4711 --data-dir runs
              manager restore --backup manager_state-00000000000000004711-20261103T140500Z.json.gz
            """)

    @OptionGroup var momentOptions: MomentOptions
    @Option(help: "As of a backup: a name in backups/, or a path.") var backup: String?
    @Flag(help: "Show what would change; write nothing. Also while a manager runs.") var dryRun = false
    @Option(help: "More result files of others that are read first, a pattern; repeatable, as of 'serve'.")
    var results: [String] = []
    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let source = try source()
            let data = try dataOptions.withJournal()
            guard try !data.journal.segments().isEmpty else {
                throw VerbFailure("there is no journal in \(data.path), so there is nothing to restore", status: 1)
            }
            let (isDryRun, patterns) = (dryRun, results)
            let report = try await onThread(named: "restore") {
                Result { try Self.run(source, data, patterns, isDryRun: isDryRun) }
            }.get()
            Terminal.write(json ? report.json(isDryRun: dryRun) : Array(report.text(isDryRun: dryRun).utf8))
        }
    }

    private func source() throws -> RestoreSource {
        guard [momentOptions.at, momentOptions.seq, backup].compactMap(\.self).count == 1 else {
            throw ValidationError("name one of --at TIME, --seq N and --backup FILE")
        }
        if let backup { return .backup(backup) }
        return .moment(try momentOptions.moment())
    }

    private static func run(
        _ source: RestoreSource, _ data: DataDirectory, _ patterns: [String], isDryRun: Bool
    ) throws -> RestoreRun.Report {
        let run = RestoreRun(data: data, results: patterns) { Terminal.complain("manager: \($0)") }
        if isDryRun {
            if let missing = try ReadingCheck.missingEvents(data) { throw missing }
            return try run.plan(warned(try source.wanted(data)))
        }
        let lock = try HeldLock.take(data, for: "restore")
        do {
            // Refused before anything is recovered or written.
            _ = warned(try source.wanted(data))
        } catch {
            lock.release()
            throw error
        }
        return try run.run(source, lock, actor: CommandLineActor.name)
    }

    private static func warned(_ wanted: RestoreSource.Wanted) -> RestoreSource.Wanted {
        Terminal.warnBeyond(wanted.isBeyondEnd, wanted.state.position)
        return wanted
    }
}
