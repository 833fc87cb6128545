import EventLog
import NIOCore
import Testing

@testable import manager

/// What waits for one who follows the events.
@Suite("One who follows and takes nothing") struct EventFollowerTests {
    private let follower = EventFollower(id: 1, wish: EventFeed.Wish(), from: LogPosition(1))

    private func offer(_ bytes: Int, _ position: UInt64) {
        follower.offer(ByteBuffer(repeating: 120, count: bytes), from: LogPosition(position))
    }

    private func taken() async -> [Int] {
        var sizes: [Int] = []
        for await piece in follower.pieces { sizes.append(piece.readableBytes) }
        return sizes
    }

    @Test func `gets what fits, and reads on by itself from the first event that does not`() async {
        // Given one who takes nothing,
        let piece = EventFeed.mostWaitingBytes / 4
        // when more is handed on than may wait,
        for position in UInt64(1)...10 { offer(piece, position) }
        // then it gets the first four and goes on with the fifth.
        #expect(await taken() == [piece, piece, piece, piece])
        #expect(follower.resumesAt == LogPosition(5))
    }

    @Test func `gets a piece of any size when nothing else waits, and what was taken makes room`() async {
        offer(3 * EventFeed.mostWaitingBytes, 1)
        follower.taken(3 * EventFeed.mostWaitingBytes)
        offer(10, 2)
        #expect(follower.resumesAt == nil)
        offer(EventFeed.mostWaitingBytes, 3)
        #expect(follower.resumesAt == LogPosition(3))
        #expect(await taken() == [3 * EventFeed.mostWaitingBytes, 10])
    }

    @Test func `has nowhere to go on where all is over`() async {
        offer(10, 1)
        follower.end()
        offer(10, 2)
        #expect(follower.resumesAt == nil)
        #expect(await taken() == [10])
    }
}
