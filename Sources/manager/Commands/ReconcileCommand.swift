import ArgumentParser
import EventLog
import Projections

/// `manager reconcile`: result files and journal compared; rows taken in, and taken back.
struct ReconcileCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reconcile",
        abstract: "Compare the rows of result files with the journal; complete what rows speak for, or take that back.",
        discussion: """
            --dry-run lists, by file and row, what does not agree, and writes nothing; also while a manager runs. Without it, \
            rows that nobody has read yet complete their tasks, as at a start; a running manager does that by itself. --undo \
            opens again what the rows of one command completed: SEQ is any event of it (manager tail --type completed).

            Examples:
              manager reconcile --dry-run --json | jq '.findings'
              manager reconcile --data-dir runs
              manager reconcile --undo 4711
            """)

    @Flag(help: "Show what agrees and what does not; write nothing.") var dryRun = false
    @Option(help: "Open again what was completed by rows in the command of this event.") var undo: UInt64?
    @Option(help: "More result files of others, a pattern; repeatable, as of 'serve'.") var results: [String] = []
    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "One JSON object.") var json = false

    func validate() throws {
        if dryRun, undo != nil {
            throw ValidationError("--dry-run shows rows, --undo takes completions back: give one")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            let (dryRun, undo, patterns, json) = (dryRun, undo, results, json)
            let data = dryRun ? try dataOptions.forReading() : try dataOptions.withJournal()
            let text = try await onThread(named: "reconcile") {
                Result { () throws -> [UInt8] in
                    if dryRun {
                        let found = try RowReconciliation(data, patterns: patterns) {
                            Terminal.complain("manager: \($0)")
                        }
                        return json ? found.json : Array(found.text.utf8)
                    }
                    let count = try Self.act(data, patterns, undo)
                    if json { return Array("{\"\(undo == nil ? "completed" : "requeued")\":\(count)}\n".utf8) }
                    let tasks = "\(count) \(count == 1 ? "task" : "tasks")"
                    return Array("\(undo == nil ? "Marked \(tasks) as completed" : "Opened \(tasks) again")\n".utf8)
                }
            }.get()
            Terminal.write(text)
        }
    }

    /// Under the lock: the rows are read, or the completions of one command taken back. How many tasks changed.
    private static func act(_ data: DataDirectory, _ patterns: [String], _ undo: UInt64?) throws -> Int {
        guard try !data.journal.segments().isEmpty else {
            throw VerbFailure("there is no journal in \(data.path)", status: 1)
        }
        let tasks = try undo.map { try RowCompletions.tasks(of: LogPosition($0), in: data) }
        let lock = try HeldLock.take(data, for: "reconcile")
        let warn: @Sendable (String) -> Void = { Terminal.complain("manager: \($0)") }
        let offline = try OfflineManager(data, lock, warn: warn)
        let outcome = Result { () throws -> Int in
            let completed = OfflineRows.read(data, offline.processor, patterns: patterns, warn: warn)
            guard let tasks else { return completed }
            let open = tasks.filter { offline.processor.snapshot.status(of: $0) == .complete }
            return try offline.processor.operate(.requeue, on: .ids(open), actor: CommandLineActor.name).answer
        }
        try offline.close()
        return try outcome.get()
    }
}
