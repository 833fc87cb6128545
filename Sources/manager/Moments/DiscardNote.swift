import EventLog
import Projections
import Synchronization

/// What the journal tells of history that was discarded.
enum DiscardNote {
    /// When a baseline's note says that history went, by the baseline's path: to find it the journal is read.
    private static let known = Mutex<[String: LogTime]>([:])

    /// The last event that was discarded. `begins`: where history begins, later than at its first event.
    static func lastDiscarded(_ data: DataDirectory, _ begins: LogPosition) throws(JournalError) -> LogPosition {
        do {
            // One that ended half way has left segments before the baseline.
            return try data.journal.baselines().first { $0 >= begins.previous } ?? begins.previous
        } catch { throw .file(error) }
    }

    /// The discarded history, with the time of its last event and the day on which it went, as far as they can be read.
    /// Throws `.damage` where the baseline that stands in for it is damaged.
    static func history(_ data: DataDirectory) throws(JournalError) -> DiscardedHistory {
        try read(data).history
    }

    /// The same, where what is asked for does not need the baseline: without the time where that is damaged.
    static func told(_ data: DataDirectory) throws(JournalError) -> DiscardedHistory {
        do throws(JournalError) { return try history(data) } catch {
            guard case .damage = error else { throw error }
            return DiscardedHistory(position: try lastDiscarded(data, try data.journal.historyBegins()))
        }
    }

    /// The same as `history` with the state that stands in for it; nil where nothing was discarded.
    static func beginning(
        _ data: DataDirectory
    ) throws(JournalError) -> (history: DiscardedHistory, state: ManagerState)? {
        guard try data.journal.historyBegins() > LogPosition(1) else { return nil }
        let found = try read(data)
        return found.state.map { (found.history, $0) }
    }

    private static func read(
        _ data: DataDirectory
    ) throws(JournalError) -> (history: DiscardedHistory, state: ManagerState?) {
        let position = try lastDiscarded(data, try data.journal.historyBegins())
        var history = DiscardedHistory(position: position)
        guard let state = try Baseline.read(position, in: data.journal) else {
            try Baseline.requireReach(of: .zero, in: data.journal)
            return (history, nil)
        }
        history.time = state.time
        history.discardedAt = try discardedAt(position, data)
        return (history, state)
    }

    private static func discardedAt(_ position: LogPosition, _ data: DataDirectory) throws(JournalError) -> LogTime? {
        let path = data.journal.baselinePath(position)
        if let time = known.withLock({ $0[path] }) { return time }
        var found: LogTime?
        try LogReader(data.journal, from: position.next, prefetching: true).forEach { line throws(JournalError) in
            guard isNote(line, of: position) else { return true }
            found = line.time
            return false
        }
        if let found { known.withLock { $0[path] = found } }
        return found
    }

    private static func isNote(_ line: LogLine, of position: LogPosition) -> Bool {
        guard line.body.starts(with: Array("\"type\":\"compacted\"".utf8)) else { return false }
        var last: Int64?
        do throws(JSONError) {
            var reader = JSONReader(line.bytes)
            try reader.object { key, reader throws(JSONError) in
                if key == "last_seq" { last = try reader.integer() } else { try reader.skip() }
            }
        } catch { return false }
        return last.map { UInt64($0) } == position.rawValue
    }
}
