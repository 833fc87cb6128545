import EventLog

extension Replay {
    /// The state up to a position, folded upon one that was kept earlier; nil where that one is not this journal's: its
    /// last event is not there, or has another checksum. A base whose last event repair took out counts as its own.
    ///
    /// `endsHistory`: the base stands where older history was discarded, so that its last event is not there any more.
    /// `isInterrupted`: asked now and then; where it says so, the state is returned as far as it was folded.
    public static func state(
        upTo limit: LogPosition, in journal: JournalDirectory, upon base: ManagerState, endsHistory: Bool = false,
        isInterrupted: () -> Bool = { false }
    ) throws(JournalError) -> Based? {
        var state = base
        var folded: UInt64 = 0
        let start = endsHistory ? base.position.next : base.position
        var isOwn = endsHistory || base.position == .zero
        let reader = LogReader(
            journal, from: max(start, LogPosition(1)), prefetching: limit.rawValue - base.position.rawValue > 20_000)
        func isInGap() -> Bool { reader.gaps.contains { $0.first <= base.position && base.position <= $0.last } }
        try reader.forEach { line throws(JournalError) in
            if !isOwn, line.position > base.position { isOwn = isInGap() }
            guard isOwn else {
                isOwn = line.position == base.position && line.crc == base.crc
                return isOwn && line.position < limit
            }
            guard line.position <= limit, folded & 4095 != 4095 || !isInterrupted() else { return false }
            do throws(EventError) { try state.apply(line) } catch { throw unfoldable(line, error) }
            folded += 1
            return true
        }
        guard isOwn || isInGap() else { return nil }
        // A moment inside a gap: what comes before it is all there is.
        let gaps = reader.gaps.filter { $0.last > base.position && $0.first <= state.position.next }
        return Based(state: state, foldedEvents: folded, gaps: gaps, unread: reader.unread)
    }

    /// A state that was folded upon another.
    public struct Based: Sendable {
        /// The state at the position, or at the journal's end where that comes before.
        public var state: ManagerState
        /// How many events were folded for it.
        public var foldedEvents: UInt64
        /// Events that repair took out: what they did is missing in the state.
        public var gaps: [GapLine] = []
        /// What was left unread at the journal's end; the next start may cut it.
        public var unread: UnreadTail?
    }

    /// An event that this program cannot fold, as an error of the journal.
    public static func unfoldable(_ line: LogLine, _ error: EventError) -> JournalError {
        .unfoldable(position: line.position, problem: error.problem)
    }
}
