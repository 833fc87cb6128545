import EventLog
import Projections

/// The events of one task up to a moment, oldest first: by the indexes where there are some, by reading all between.
struct TaskEvents: Sendable {
    /// The lines, as they stand in the journal, without their newlines.
    let lines: [[UInt8]]
    /// Events that were looked at because no index covers them.
    let scannedEvents: UInt64

    /// Reads them. `limit`: the last event that counts.
    init(of task: String, in data: DataDirectory, upTo limit: LogPosition) throws(JournalError) {
        let chain = try IndexChain(data, upTo: limit)
        let read: TaskEvents?
        if let indexed = try Self.read(task, data, chain, limit) {
            read = indexed
        } else {
            read = try Self.read(task, data, nil, limit)
        }
        self = read ?? Self(lines: [], scannedEvents: 0)
    }

    private init(lines: [[UInt8]], scannedEvents: UInt64) {
        self.lines = lines
        self.scannedEvents = scannedEvents
    }

    /// Nil where an index does not hold what it says.
    private static func read(
        _ task: String, _ data: DataDirectory, _ chain: IndexChain?, _ limit: LogPosition
    ) throws(JournalError) -> TaskEvents? {
        let first = try data.journal.segments().first?.first ?? LogPosition(1)
        let indexes = chain?.indexes ?? []
        let hash = TaskIndex.hash(task)
        let id = Array(task.utf8)
        let positions = indexes.flatMap { $0.entry(hash)?.positions ?? [] }.filter { $0 <= limit && $0 >= first }
        guard
            let indexed = try LogPicker(data.journal).events(
                at: positions,
                { line throws(JournalError) -> (LogPosition, [UInt8]?) in
                    (line.position, try isOf(id, line) ? Array(line.bytes) : nil)
                })
        else { return nil }
        // Another id with the same hash: rarer than damage, and harmless.
        var found = indexed.compactMap { position, bytes in bytes.map { (position, $0) } }
        var scanned: UInt64 = 0
        let gaps = chain?.gaps(upTo: limit) ?? (limit > .zero ? [LogPosition(1)...limit] : [])
        for gap in gaps where gap.upperBound >= first {
            let isLong = gap.upperBound.rawValue - gap.lowerBound.rawValue > 20_000
            try LogReader(data.journal, from: max(gap.lowerBound, first), prefetching: isLong).forEach {
                line throws(JournalError) in
                guard line.position <= gap.upperBound else { return false }
                scanned += 1
                if mayMatter(id, line), try isOf(id, line) { found.append((line.position, Array(line.bytes))) }
                return true
            }
        }
        found.sort { $0.0 < $1.0 }
        return TaskEvents(lines: found.map(\.1), scannedEvents: scanned)
    }

    /// True where the first of them added the task: then they are all of its events.
    var beginWithAdding: Bool {
        guard let first = lines.first else { return false }
        return first.withUnsafeBufferPointer { buffer in
            guard let line = LogLine(buffer) else { return false }
            do throws(EventError) { return try EventView(line).kind == .added } catch { return false }
        }
    }

    /// Calls `body` with each line and the time of the one before it.
    func forEach(_ body: (LogLine, LogTime?) throws -> Void) throws {
        var last: LogTime?
        for bytes in lines {
            try bytes.withUnsafeBufferPointer { buffer in
                guard let line = LogLine(buffer) else { return }
                try body(line, last)
                last = line.time
            }
        }
    }

    /// Whether an event may be the task's (its id stands there as it is, or escaped), or one that this program does not know.
    private static func mayMatter(_ id: [UInt8], _ line: LogLine) -> Bool {
        contains(line.bytes, id) || line.bytes.contains(92) || !EventView.beginsWithKnownType(line.body)
    }

    /// Throws for an event that this program does not know: it may have done something to any task.
    private static func isOf(_ id: [UInt8], _ line: LogLine) throws(JournalError) -> Bool {
        do throws(EventError) {
            let event = try EventView(line)
            return event.kind != .note && event.task.elementsEqual(id)
        } catch { throw Replay.unfoldable(line, error) }
    }
}

extension MomentReader {
    /// One task at a moment.
    struct FoundTask: Sendable {
        /// A state that knows this task, maybe no other.
        var state: ManagerState
        /// The task's number in that state.
        var number: Int
        /// Its events up to the moment.
        var events: TaskEvents
        /// The last event that belongs to the moment; beyond all for `now`.
        var limit: LogPosition
        /// What is known of it from before its events; nil where they are all there.
        var beginning: TaskBeginning?
    }

    /// The events of one task up to a moment, with what is known of it from before them where history was discarded.
    /// Throws `.discarded` for a moment in history that is gone.
    func taskEvents(
        _ id: String, at moment: Moment
    ) throws(JournalError) -> (events: TaskEvents, beginning: TaskBeginning?) {
        let events = try TaskEvents(of: id, in: data, upTo: try limit(of: moment))
        try requireKept(moment)
        return (events, try beginning(of: id, events))
    }

    /// What the state where history begins says of a task; nil where its events are all there, or it was not added by then.
    private func beginning(of id: String, _ events: TaskEvents) throws(JournalError) -> TaskBeginning? {
        guard try data.journal.historyBegins() > LogPosition(1), !events.beginWithAdding,
            let found = try DiscardNote.beginning(data)
        else { return nil }
        return TaskBeginning(id, in: found.state, after: found.history)
    }

    /// A task as it was, folded from its own events alone; nil where it was not added by then.
    func task(_ id: String, at moment: Moment) throws(JournalError) -> FoundTask? {
        let limit = try limit(of: moment)
        let events = try TaskEvents(of: id, in: data, upTo: limit)
        try requireKept(moment)
        if try hasBaseline(upTo: limit) {
            let state = try self.state(at: moment).state
            guard let number = state.taskNumber(id) else { return nil }
            let beginning = try beginning(of: id, events)
            return FoundTask(state: state, number: number, events: events, limit: limit, beginning: beginning)
        }
        var state = ManagerState()
        var failure: JournalError?
        for bytes in events.lines {
            bytes.withUnsafeBufferPointer { buffer in
                guard failure == nil, let line = LogLine(buffer) else { return }
                do throws(EventError) { try state.apply(line) } catch { failure = Replay.unfoldable(line, error) }
            }
        }
        if let failure { throw failure }
        guard let number = state.taskNumber(id) else { return nil }
        return FoundTask(state: state, number: number, events: events, limit: limit)
    }

    /// One task as JSON, as in the state file; nil where it was not added by then. From its own events where indexes
    /// leave little to look through for them, else from the whole state.
    func taskJSON(_ id: String, at moment: Moment) throws(JournalError) -> [UInt8]? {
        let limit = try limit(of: moment)
        let hasIndexes: Bool
        do { hasIndexes = try CheckpointFiles(data).indexes.first.map { $0 <= limit } ?? false } catch {
            throw .file(error)
        }
        guard hasIndexes, try !hasBaseline(upTo: limit) else { return try state(at: moment).state.taskJSON(id) }
        return try task(id, at: moment).flatMap { $0.state.taskJSON(id) }
    }
}
