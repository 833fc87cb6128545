import EventLog
import NIOCore
import Synchronization

/// One who follows: what was handed on and not written yet.
final class EventFollower: Sendable {
    private struct State {
        var waitingBytes = 0
        /// The first event that it was not given; nil while it is served.
        var resumesAt: LogPosition?
        var isOver = false
    }

    let id: UInt64
    let wish: EventFeed.Wish
    /// The first event that it is to get.
    let from: LogPosition
    /// What it is given, in order; ends when it was let go or all is over.
    let pieces: AsyncStream<ByteBuffer>
    private let source: AsyncStream<ByteBuffer>.Continuation
    private let state = Mutex(State())

    init(id: UInt64, wish: EventFeed.Wish, from: LogPosition) {
        (self.id, self.wish, self.from) = (id, wish, from)
        (pieces, source) = AsyncStream.makeStream()
    }

    /// Gives it a piece that begins with an event; nil: with none. Lets it go where too much waits for it already.
    func offer(_ piece: ByteBuffer, from position: LogPosition?) {
        let count = piece.readableBytes
        let isTaken = state.withLock { state -> Bool in
            guard state.resumesAt == nil, !state.isOver else { return true }
            guard state.waitingBytes > 0, state.waitingBytes + count > EventFeed.mostWaitingBytes else {
                state.waitingBytes += count
                source.yield(piece)
                return true
            }
            guard let position else { return true }
            state.resumesAt = position
            return false
        }
        if !isTaken { source.finish() }
    }

    /// Lets it go: it reads on from a position by itself.
    func letGo(at position: LogPosition) {
        state.withLock { if $0.resumesAt == nil { $0.resumesAt = position } }
        source.finish()
    }

    /// A piece was written.
    func taken(_ count: Int) { state.withLock { $0.waitingBytes -= count } }

    /// Ends it.
    func end() {
        state.withLock { $0.isOver = true }
        source.finish()
    }

    /// Where it reads on by itself; nil where all is over.
    var resumesAt: LogPosition? { state.withLock { $0.isOver ? nil : $0.resumesAt } }
}
