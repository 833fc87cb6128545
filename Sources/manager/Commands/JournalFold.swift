import EventLog
import Glibc
import Projections

/// A directory's state that goes on with its journal: for verbs that wait or watch.
struct JournalFold {
    /// The state up to what was read.
    private(set) var state: ManagerState
    private let data: DataDirectory
    private let watch: JournalWatch
    /// The newest file when the journal was last read.
    private var sight: JournalWatch.Sight

    /// Reads what is there, or what was at a moment. Blocks.
    init(_ data: DataDirectory, at moment: Moment = .now) throws(JournalError) {
        self.data = data
        watch = JournalWatch(data.journal)
        sight = watch.look()
        state = try MomentReader(data).state(at: moment).state
    }

    /// Waits until the journal may have grown or so many seconds have passed, then folds what came since: readers enter
    /// a segment near the position that they want, so this costs as much as what is new.
    ///
    /// A start that had to cut the journal's end gives the newest segment's name to another file. Where what was read of
    /// the old one's end is gone, everything is read anew.
    mutating func advance(within seconds: Double) throws(JournalError) {
        watch.wait(atMost: seconds, since: sight)
        let before = sight
        sight = watch.look()
        if sight.identity != before.identity, try !stands() {
            state = try MomentReader(data).state(at: .now).state
        } else {
            state = try Replay.state(at: .now, in: data.journal, from: state).state
        }
    }

    /// Whether the last event that was folded is still the journal's.
    private func stands() throws(JournalError) -> Bool {
        guard state.position > .zero else { return true }
        var crc: UInt32?
        try LogReader(data.journal, from: state.position).forEach { line throws(JournalError) in
            if line.position == state.position { crc = line.crc }
            return false
        }
        return crc == state.crc
    }
}
