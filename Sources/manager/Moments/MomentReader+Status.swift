import EventLog
import Projections

extension MomentReader {
    /// What `status` tells, and whether the moment lies beyond the journal's end.
    struct FoundStatus: Sendable {
        var summary: StatusSummary
        var isBeyondEnd: Bool
        /// Events that are missing and that no kept state makes up for.
        var gaps: [GapLine] = []
    }

    /// What is read and folded in a second, roughly: to choose between two ways to the same answer.
    private enum Pace {
        static let events = 1_300_000.0
        static let stateBytes = 150_000_000.0
        /// How much larger a state is than its gzip file.
        static let inflation = 9.0
    }

    /// The counts at a moment: upon the newest index where that is the shorter way, else from the whole state.
    func status(at moment: Moment) throws(JournalError) -> FoundStatus {
        let limit = try limit(of: moment)
        if let summary = try sparseStatus(upTo: limit) {
            return FoundStatus(
                summary: summary, isBeyondEnd: try isBeyondEnd(moment, after: summary.position))
        }
        let found = try state(at: moment)
        return FoundStatus(summary: StatusSummary(found.state), isBeyondEnd: found.isBeyondEnd, gaps: found.gaps)
    }

    /// Nil where the whole state is nearer (unless `always`), or no index can be used.
    func sparseStatus(upTo limit: LogPosition, always: Bool = false) throws(JournalError) -> StatusSummary? {
        let newest: LogPosition?
        do { newest = try CheckpointFiles(data).indexes.last { $0 <= limit } } catch { throw .file(error) }
        guard let newest, try !hasBaseline(upTo: limit) else { return nil }
        if !always, try !isShorter(from: newest, upTo: limit) { return nil }
        let indexes = try IndexChain(data, upTo: limit).unbroken
        guard let base = indexes.last, base.last == newest else { return nil }
        // The tasks that the events touch must be known before the events are folded: they are read twice.
        var touched = SparseState.Touched()
        var last = base.last
        try forEachEvent(after: base.last, upTo: limit) { line throws(EventError) in
            touched.note(try EventView(line))
            last = line.position
        }
        guard var state = SparseState(base, codes: touched.codes(in: indexes)) else { return nil }
        try forEachEvent(after: base.last, upTo: last) { line throws(EventError) in try state.apply(line) }
        return state.summary
    }

    /// Whether folding twice upon an index is quicker than loading a state and folding once upon that.
    private func isShorter(from index: LogPosition, upTo limit: LogPosition) throws(JournalError) -> Bool {
        var end = limit
        if let newest = try data.journal.segments().last, limit == LogPosition(.max) { end = max(newest.first, index) }
        let kept = try KeptStates(data).all.first { $0.position <= limit }
        let size = kept.map { Double($0.sizeBytes(data)) * ($0.isCompressed ? Pace.inflation : 1) } ?? 0
        func events(_ from: LogPosition) -> Double { end > from ? Double(end.rawValue - from.rawValue) : 0 }
        let whole = size / Pace.stateBytes + events(kept?.position ?? .zero) / Pace.events
        return 2 * events(index) / Pace.events < whole
    }

    private func forEachEvent(
        after position: LogPosition, upTo limit: LogPosition, _ body: (LogLine) throws(EventError) -> Void
    ) throws(JournalError) {
        try LogReader(data.journal, from: position.next, prefetching: true).forEach { line throws(JournalError) in
            guard line.position <= limit else { return false }
            do throws(EventError) { try body(line) } catch { throw Replay.unfoldable(line, error) }
            return true
        }
    }
}
