import EventLog
import Glibc
import Projections

/// A directory's state that goes on with its journal: for verbs that wait or watch.
struct JournalFold {
    /// The state up to what was read.
    private(set) var state: ManagerState
    private let journal: JournalDirectory
    private let watch: JournalWatch

    /// Reads what is there, or what was at a moment. Blocks.
    init(_ data: DataDirectory, at moment: Moment = .now) throws(JournalError) {
        state = try MomentReader(data).state(at: moment).state
        journal = data.journal
        watch = JournalWatch(data.journal)
    }

    /// Waits until the journal may have grown or so many seconds have passed, then reads on.
    mutating func advance(within seconds: Double) throws(JournalError) {
        watch.wait(atMost: seconds)
        state = try Replay.state(at: .now, in: journal, from: state).state
    }
}
