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
    }

    /// The state at a moment. `base`: a state to begin from, which must not lie behind the moment.
    public static func state(
        at moment: Moment, in journal: JournalDirectory, from base: ManagerState = ManagerState()
    ) throws(JournalError) -> Outcome {
        var state = base
        let reader = LogReader(journal, from: base.position.next, prefetching: true)
        let end = try reader.forEach { line throws(JournalError) in
            guard moment.includes(line) else { return false }
            do throws(EventError) { try state.apply(line) } catch {
                throw .damage(
                    JournalDamage(
                        kind: .header, file: SegmentName(first: line.position).text, position: line.position,
                        detail: error.problem))
            }
            return true
        }
        let isBeyond =
            switch moment {
            case .now: false
            case .time(let time): end == .reached && time > LogTime.now()
            case .position(let position): position > state.position
            }
        return Outcome(state: state, isBeyondEnd: isBeyond, unread: reader.unread)
    }
}
