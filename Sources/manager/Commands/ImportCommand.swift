import ArgumentParser
import EventLog
import Projections

/// `manager import FILE`: takes tasks of elsewhere over.
struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract:
            "Take tasks over: from a Python manager's state file, another data directory, a backup, or JSON lines.",
        discussion: """
            Ids that stand already are compared and stay as they are; what differs is listed. Nothing is written to where the \
            tasks come from, and no result file is copied.

            Examples:
              manager import ../old/manager_state.json --data-dir runs     of a Python manager
              manager import ../other-runs --data-dir runs                 of another manager's data directory
              manager import backups/manager_state-….json.gz --data-dir new
              manager import tasks.jsonl                                   one task object a line, as of 'submit'

            Local times are read in this machine's time zone; another one: TZ=Europe/Vienna manager import …
            'serve' and 'run' do the same by themselves where such a file stands in their data directory.
            """)

    @Argument(help: "A state file, a backup, a data directory, or JSON lines of tasks.") var file: String
    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let (file, data, json) = (file, dataOptions.data, json)
            let (text, isTaken) = try await onThread(named: "import") {
                Result { try Self.run(file, data, json: json) }
            }.get()
            Terminal.write(Array(text.utf8))
            if !isTaken { throw ExitCode(1) }
        }
    }

    /// What is to be said, and false where all was refused.
    private static func run(_ file: String, _ data: DataDirectory, json: Bool) throws -> (String, Bool) {
        let source = try ImportSource(file, data)
        guard case .python(let bytes) = source, try FirstSegment.isFree(data.journal) else {
            return try merge(source, file, data, json: json)
        }
        let importing = PythonImport(data: data)
        let plan = try importing.plan(bytes, file: file)
        try data.fileSystem.createDirectories(data.path)
        let lock = try HeldLock.take(data, for: "import")
        defer { lock.release() }
        let replaces = try check(data, bytes, file)
        for warning in plan.state.warnings { Terminal.complain("manager: \(warning)") }
        let done = try importing.write(plan, replacesStateFile: replaces, actor: CommandLineActor.name)
        let outcome = try Replay.state(at: .now, in: data.journal)
        try SnapshotService.write(outcome.state, to: data, paced: false)
        return (report(plan, done, data, json: json), true)
    }

    /// Brings tasks in beside those that stand, if any.
    private static func merge(_ source: ImportSource, _ file: String, _ data: DataDirectory, json: Bool) throws
        -> (String, Bool)
    {
        let (items, note) = try source.items(file, data)
        try data.fileSystem.createDirectories(data.path)
        try StartupOrder.refuseStateWithoutJournal(data)
        let lock = try HeldLock.take(data, for: "import")
        let run = ImportRun(data: data, warn: { Terminal.complain("manager: \($0)") })
        let report = try run.run(items, note: note, lock, actor: CommandLineActor.name)
        return (json ? String(decoding: report.json, as: UTF8.self) : report.text, !report.isAllRefused)
    }

    /// Throws where something stands in the way; true where the file is the data directory's own state file.
    private static func check(_ data: DataDirectory, _ bytes: [UInt8], _ file: String) throws -> Bool {
        guard try FirstSegment.isFree(data.journal) else {
            throw VerbFailure(
                "the journal in \(data.journalPath) has events already: 'manager reset' sets everything aside first, or "
                    + "use another --data-dir", status: 1)
        }
        let copies = StateCopies(data: data, warn: { Terminal.complain("manager: \($0)") })
        if let beyond = copies.beyond(.zero) {
            throw JournalError.snapshotBeyondEnd(snapshot: beyond.position, path: beyond.path, last: .zero)
        }
        guard try data.fileSystem.metadata(data.stateFile) != nil else { return false }
        guard try readWholeFile(data.stateFile, on: data.fileSystem) == bytes else {
            throw VerbFailure(
                "\(data.stateFile) stands there already and is another file than \(file): 'manager reset' sets it aside "
                    + "first, or use another --data-dir", status: 1)
        }
        return true
    }

    private static func report(
        _ plan: PythonImport.Plan, _ done: PythonImport.Done, _ data: DataDirectory, json: Bool
    ) -> String {
        guard json else {
            return "Imported \(plan.summary); local times in \(plan.source.zone)\n"
                + (done.copy.map { "The old file is kept as \($0)\n" } ?? "")
        }
        func quoted(_ text: String?) -> String {
            guard let text else { return "null" }
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return String(decoding: out, as: UTF8.self)
        }
        let counts = [TaskStatus.pending, .assigned, .complete, .failed].map {
            ",\"\($0.word)\":\(plan.state.count($0))"
        }
        return "{\"tasks\":\(plan.state.tasks.count)\(counts.joined()),\"seq\":\(done.last),"
            + "\"zone\":\(quoted(plan.source.zone)),\"kept\":\(quoted(done.copy))}\n"
    }
}
