import EventLog
import Projections

/// What the journal tells of history that was discarded.
enum DiscardNote {
    /// The discarded history, with the time of its last event and the day on which it went, as far as they can be read.
    /// Throws `.damage` where the baseline that stands in for it is damaged.
    static func history(_ data: DataDirectory) throws(JournalError) -> DiscardedHistory {
        let begins = try data.journal.historyBegins()
        let baselines: [LogPosition]
        do { baselines = try data.journal.baselines() } catch { throw .file(error) }
        // One that ended half way has left segments before the baseline.
        let position = baselines.first { $0 >= begins.previous } ?? begins.previous
        var history = DiscardedHistory(position: position)
        guard let state = try Baseline.read(position, in: data.journal) else {
            try Baseline.requireReach(of: .zero, in: data.journal)
            return history
        }
        history.time = state.time
        try LogReader(data.journal, from: position.next, prefetching: true).forEach { line throws(JournalError) in
            guard isNote(line, of: position) else { return true }
            history.discardedAt = line.time
            return false
        }
        return history
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
