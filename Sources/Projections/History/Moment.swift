import EventLog

/// A moment of the journal, as a user names it.
public enum Moment: Sendable, Equatable {
    /// Everything that is there.
    case now
    /// Every event whose time is not later.
    case time(LogTime)
    /// Exactly the events up to this one, even inside a command.
    case position(LogPosition)

    /// Whether an event belongs to what was before or at the moment.
    @inline(__always)
    func includes(_ line: LogLine) -> Bool {
        switch self {
        case .now: true
        case .time(let time): line.time <= time
        case .position(let position): line.position <= position
        }
    }
}

/// Folds the journal to a moment.
public enum Replay {
    /// What a replay found.
    public struct Outcome: Sendable {
        /// The state at the moment.
        public var state: ManagerState
        /// True where the moment lies beyond the last event.
        public var isBeyondEnd: Bool
        /// What was left unread at the journal's end; the next start may cut it.
        public var unread: UnreadTail?
        /// Events that repair took out and that no baseline makes up for: what they did is missing in the state.
        public var gaps: [GapLine] = []
    }

    /// The state at a moment. `base`: a state to begin from, which must not lie behind the moment; where it is the empty
    /// one, the newest baseline that does not is taken: repair leaves one where events are missing before it.
    public static func state(
        at moment: Moment, in journal: JournalDirectory, from base: ManagerState = ManagerState()
    ) throws(JournalError) -> Outcome {
        var base = base
        if base.position == .zero, let baseline = try Baseline.newest(in: journal, notAfter: moment) { base = baseline }
        if case let begins = try journal.historyBegins(), begins > base.position.next {
            // A moment of before, or no good baseline.
            if moment != .now, let kept = try Baseline.newest(in: journal, notAfter: .now) {
                throw .discarded(DiscardedHistory(position: kept.position, time: kept.time))
            }
            try Baseline.requireReach(of: base.position, in: journal)
        }
        var state = base
        let reader = LogReader(journal, from: base.position.next, prefetching: true)
        let end = try reader.forEach { line throws(JournalError) in
            guard moment.includes(line) else { return false }
            do throws(EventError) { try state.apply(line) } catch { throw unfoldable(line, error) }
            return true
        }
        let isBeyond =
            switch moment {
            case .now: false
            case .time(let time): end == .reached && time > LogTime.now()
            case .position(let position): position > state.position
            }
        var outcome = Outcome(state: state, isBeyondEnd: isBeyond, unread: reader.unread)
        // A moment inside a gap: what comes before it is all there is.
        outcome.gaps = reader.gaps.filter { $0.first <= state.position.next }
        return outcome
    }
}
