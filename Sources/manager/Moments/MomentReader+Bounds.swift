import EventLog
import Projections

extension MomentReader {
    /// Throws `.discarded` where a moment lies in history that is gone. Whoever reads events up to a moment asks this once
    /// they are read: history may be discarded meanwhile.
    func requireKept(_ moment: Moment) throws(JournalError) {
        let begins = try data.journal.historyBegins()
        guard moment != .now, begins > LogPosition(1) else { return }
        let end = try DiscardNote.lastDiscarded(data, begins)
        let limit = try limit(of: moment)
        if limit > end { return }
        if limit == end {
            // A time may also lie between the last event that is gone and the one before it.
            guard case .time(let wanted) = moment else { return }
            if let time = try Baseline.read(end, in: data.journal)?.time, time <= wanted { return }
        }
        throw .discarded(try DiscardNote.history(data))
    }

    /// The journal's last event, where a moment lies beyond it; nil where it does not. Throws `.discarded` for a moment in
    /// history that is gone.
    func endBefore(_ moment: Moment) throws(JournalError) -> LogPosition? {
        try requireKept(moment)
        guard try isBeyondEnd(moment) else { return nil }
        return try ReadingCheck.end(of: data.journal)
    }

    /// Whether a moment lies in the future, or beyond the journal's end. `last`: an event that is known to be there.
    func isBeyondEnd(_ moment: Moment, after last: LogPosition = .zero) throws(JournalError) -> Bool {
        switch moment {
        case .now: return false
        case .time(let time): return time > LogTime.now()
        case .position(let position):
            guard position > last, try position >= data.journal.historyBegins() else { return false }
            return try !ReadingCheck.reaches(position, data.journal)
        }
    }

    /// What time it is at a moment: that of its last event where it is a seq, also inside a gap.
    func clock(of moment: Moment) throws(JournalError) -> LogTime {
        guard case .position(let position) = moment else { return moment.clock(nil) }
        if try isBeyondEnd(moment) { return LogTime.now() }
        if let time = try LogPicker(data.journal).events(at: [position], { $0.time })?.first { return time }
        return moment.clock(try state(at: moment).state.time)
    }
}
