import EventLog
import NIOCore
import Projections
import Synchronization

/// Hands the journal's new events to those who follow them: one thread reads for all, and formats them once for all who
/// ask for the same.
///
/// Bounded: at most `most` followers, and `mostWaitingBytes` that wait for one of them. Who takes less than comes is
/// let go with the position up to which it was served: it reads on from the files at its own pace. Batches are paced by
/// the number of followers, so that many of them cost the writer little.
final class EventFeed: Sendable {
    /// The most followers at once.
    static let most = 4000
    /// Bytes that may wait for one follower.
    static let mostWaitingBytes = 1 << 20
    /// Bytes that are handed on together.
    private static let pieceBytes = 256 << 10
    /// A batch of events takes each follower a write: so long a pause for each of them between two batches.
    private static let pauseMicroseconds = 200
    /// Seconds of silence after which a follower of Server-Sent Events gets a sign of life.
    private static let keepAliveSeconds = 10

    /// What several followers have in common.
    struct Wish: Hashable, Sendable {
        var isSSE = false
        var types: [String] = []
        var task: [UInt8]?
        var worker: [UInt8]?
        var phase: String?
        var since: LogTime?
    }

    private final class Group: Sendable {
        let isSSE: Bool
        let filter: EventFilter
        init(isSSE: Bool, filter: EventFilter) { (self.isSSE, self.filter) = (isSSE, filter) }
    }

    private struct Member {
        var group: Group
        var followers: [UInt64: EventFollower] = [:]
        var isSilentSince = ContinuousClock.now
    }

    private struct State {
        var members: [Wish: Member] = [:]
        var count = 0
        var nextID: UInt64 = 1
        /// The first event that was not handed on yet; nil while nobody follows.
        var position: LogPosition?
        var isWatching = false
        var isOver = false
    }

    private let state = Mutex(State())
    private let gate = DispatchGate()
    private let publisher: Publisher
    private let journal: JournalDirectory
    private let durable: @Sendable () -> LogPosition

    /// Follows a processor's journal.
    init(_ processor: CommandProcessor, _ journal: JournalDirectory) {
        publisher = processor.publisher
        self.journal = journal
        let writer = processor.writer
        durable = { writer.durable }
    }

    /// How many follow now, or read on their own to follow soon.
    var count: Int { state.withLock { $0.count } }

    /// True once nobody is served any more.
    var isOver: Bool { state.withLock { $0.isOver } }

    /// A place among the followers: given back when nobody holds it any more, however the answer ended.
    final class Place: Sendable {
        private let feed: EventFeed

        fileprivate init(_ feed: EventFeed) { self.feed = feed }

        deinit { feed.state.withLock { $0.count -= 1 } }
    }

    /// Takes a place among the followers; nil where all are taken.
    func enter() -> Place? {
        let isFree = state.withLock { state in
            guard state.count < Self.most, !state.isOver else { return false }
            state.count += 1
            return true
        }
        return isFree ? Place(self) : nil
    }

    /// Hands on what comes from a position on; nil where more than that was handed on already: read on and come again.
    func join(_ wish: Wish, _ filter: EventFilter, from: LogPosition) -> EventFollower? {
        let joined = state.withLock { state -> (follower: EventFollower, startsAt: LogPosition?)? in
            guard !state.isOver, state.position.map({ from >= $0 }) ?? true else { return nil }
            let follower = EventFollower(id: state.nextID, wish: wish, from: from)
            state.nextID += 1
            var member = state.members[wish] ?? Member(group: Group(isSSE: wish.isSSE, filter: filter))
            member.followers[follower.id] = follower
            state.members[wish] = member
            guard state.position == nil else { return (follower, nil) }
            state.position = from
            return (follower, from)
        }
        guard let joined else { return nil }
        if let from = joined.startsAt { startThread(named: "events-feed") { [self] in run(from: from) } }
        return joined.follower
    }

    /// Takes a follower out; whether it was let go already does not matter.
    func part(_ follower: EventFollower) {
        state.withLock { state in
            state.members[follower.wish]?.followers[follower.id] = nil
            if state.members[follower.wish]?.followers.isEmpty ?? false { state.members[follower.wish] = nil }
        }
        follower.end()
    }

    /// Ends all followers: the server is to stop.
    func stop() {
        let followers = state.withLock { state in
            state.isOver = true
            return state.members.values.flatMap(\.followers.values)
        }
        for follower in followers { follower.end() }
        gate.open()
    }

    // MARK: - The thread

    private func run(from start: LogPosition) {
        let reader = LineFollower(journal, from: start)
        while true {
            let batch = state.withLock { state -> (groups: [Wish: Group], limit: LogPosition, count: Int)? in
                guard !state.members.isEmpty, !state.isOver else {
                    // The next one that joins starts anew.
                    state.position = nil
                    return nil
                }
                var limit = durable()
                // Who begins later joins between two batches.
                for follower in state.members.values.flatMap(\.followers.values) where follower.from > reader.next {
                    limit = min(limit, follower.from.previous)
                }
                state.position = max(reader.next, limit.next)
                return (
                    state.members.mapValues(\.group), limit, state.members.values.reduce(0) { $0 + $1.followers.count }
                )
            }
            guard let batch else { return }
            if batch.limit >= reader.next {
                do throws(JournalError) { try hand(reader, upTo: batch.limit, batch.groups) } catch {
                    // Each of them reads on by itself, and meets the same.
                    letGo(at: reader.next)
                    continue
                }
            }
            keepAlive()
            gate.wait(for: .microseconds(Self.pauseMicroseconds * batch.count))
            watch(reader.next)
            gate.wait(seconds: Self.keepAliveSeconds)
        }
    }

    /// Hands on the events up to a position, in pieces.
    private func hand(
        _ reader: LineFollower, upTo limit: LogPosition, _ groups: [Wish: Group]
    ) throws(JournalError) {
        let start = reader.next
        var pieces = groups.mapValues { EventPieces(isSSE: $0.isSSE, filter: $0.filter) }
        var (first, bytes) = (start, 0)
        try reader.forEach(upTo: limit) { line throws(JournalError) in
            let event: EventView
            do throws(EventError) { event = try EventView(line) } catch { throw Replay.unfoldable(line, error) }
            for wish in groups.keys { pieces[wish]?.add(line, event) }
            bytes += line.bytes.count
            guard bytes >= Self.pieceBytes else { return true }
            deliver(&pieces, to: start, from: first)
            (first, bytes) = (line.position.next, 0)
            return true
        }
        deliver(&pieces, to: start, from: first)
    }

    /// Gives what was made to those who joined by the batch's beginning; `first`: the first event in it.
    private func deliver(_ pieces: inout [Wish: EventPieces], to start: LogPosition, from first: LogPosition) {
        var due: [(follower: EventFollower, piece: ByteBuffer)] = []
        state.withLock { state in
            for wish in pieces.keys {
                guard let bytes = pieces[wish]?.take(), !bytes.isEmpty else { continue }
                let piece = ByteBuffer(bytes: bytes)
                state.members[wish]?.isSilentSince = .now
                for follower in state.members[wish]?.followers.values ?? [:].values where follower.from <= start {
                    due.append((follower, piece))
                }
            }
        }
        for (follower, piece) in due { follower.offer(piece, from: first) }
    }

    private func keepAlive() {
        let now = ContinuousClock.now
        var due: [EventFollower] = []
        state.withLock { state in
            for (wish, member) in state.members
            where wish.isSSE && now - member.isSilentSince >= .seconds(Self.keepAliveSeconds) {
                state.members[wish]?.isSilentSince = now
                due.append(contentsOf: member.followers.values)
            }
        }
        let sign = ByteBuffer(string: ":\n\n")
        for follower in due { follower.offer(sign, from: nil) }
    }

    private func letGo(at position: LogPosition) {
        let followers = state.withLock { state in
            let followers = state.members.values.flatMap(\.followers.values)
            state.members = [:]
            return followers
        }
        for follower in followers { follower.letGo(at: max(position, follower.from)) }
    }

    /// Wakes the thread when an event is durable; asks the publisher once.
    private func watch(_ next: LogPosition) {
        let isFirst = state.withLock { state -> Bool in
            guard !state.isWatching else { return false }
            state.isWatching = true
            return true
        }
        guard isFirst else { return }
        publisher.whenDurable(next) { [weak self] in
            guard let self else { return }
            state.withLock { $0.isWatching = false }
            gate.open()
        }
    }
}
