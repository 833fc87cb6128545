import EventLog
import Projections
import Synchronization

/// What rows of result files completed.
enum RowCompletions {
    /// The tasks that one command completed by rows and that nothing else has completed since. Throws a sentence where the
    /// event is in no such command.
    static func tasks(of position: LogPosition, in data: DataDirectory) throws -> [String] {
        var command: [String] = []
        var isIn = false
        var wanted: Set<String> = []
        var failure: EventError?
        // A command may begin up to 10,000 events before.
        let start =
            position.rawValue > UInt64(Bounds.commandEvents) ? position.rawValue - UInt64(Bounds.commandEvents) : 1
        try LogReader(data.journal, from: LogPosition(start), prefetching: true).forEach { line throws(JournalError) in
            do throws(EventError) {
                let event = try EventView(line.body)
                if line.position == position { isIn = true }
                let task = String(decoding: event.task, as: UTF8.self)
                if event.kind == .completed {
                    wanted.remove(task)
                    if event.rowSHA256 != nil { command.append(task) }
                }
            } catch {
                failure = error
                return false
            }
            guard !line.hasMore else { return true }
            if isIn { wanted.formUnion(command) }
            isIn = false
            command = []
            return true
        }
        if let failure { throw VerbFailure("\(failure)", status: 1) }
        guard !wanted.isEmpty else {
            throw VerbFailure(
                "seq \(position) is in no command by which rows completed tasks that are still complete by them: 'manager tail "
                    + "--type completed --json' shows those with \"via\":\"csv\"", status: 1)
        }
        return wanted.sorted()
    }
}

/// Rows of result files, read by a verb that holds the lock.
enum OfflineRows {
    /// Reads what is new in all files, those that were ever read among them, completes what the rows speak for, and makes
    /// durable how far they were read. How many tasks were completed.
    static func read(
        _ data: DataDirectory, _ processor: CommandProcessor, patterns: [String],
        warn: @escaping @Sendable (String) -> Void
    ) -> Int {
        let known = processor.snapshot.filesReadNames.map { GlobPattern.literal($0) }
        let reconciler = CSVReconciler(data, processor, patterns: known + patterns, every: .seconds(3600), warn: warn)
        let completed = reconciler.scan()
        reconciler.close()
        let position = processor.core.withLock { core in
            let reads = core.unrecordedReads.sorted { $0.key < $1.key }.map { Event.csvRead($0.value) }
            core.unrecordedReads = [:]
            return processor.append(reads, actor: "csv", &core, false)
        }
        processor.writer.waitUntilDurable(position)
        return completed
    }
}
