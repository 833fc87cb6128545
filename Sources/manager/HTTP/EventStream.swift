import Dispatch
import EventLog
import Hummingbird
import NIOCore
import Projections

/// Sends the events from a position on, and then what comes: reads the files until it has caught up, then is served by
/// the feed; when it is let go there, it reads the files again.
struct EventStream: Sendable {
    /// Threads that read for those who have not caught up.
    private static let readers = (0..<4).map { DispatchQueue(label: "events-read-\($0)") }
    private static let sliceBytes = 64 << 10

    let feed: EventFeed
    let wish: EventFeed.Wish
    let filter: EventFilter
    let journal: JournalDirectory
    /// What is durable now.
    let durable: @Sendable () -> LogPosition

    /// Blocks on nothing but the client; returns when the feed is over. Throws what reading and writing throw.
    func run(from start: LogPosition, to writer: inout any ResponseBodyWriter) async throws {
        if wish.isSSE { try await writer.write(ByteBuffer(string: ": following\n\n")) }
        var reader = Reader(journal, from: start)
        while !feed.isOver {
            try Task.checkCancellation()
            let slice = try await read(reader)
            if !slice.bytes.isEmpty { try await writer.write(ByteBuffer(bytes: slice.bytes)) }
            if let failure = slice.failure { throw failure }
            guard slice.hasCaughtUp, let follower = feed.join(wish, filter, from: slice.next) else { continue }
            do {
                for await piece in follower.pieces {
                    try await writer.write(piece)
                    follower.taken(piece.readableBytes)
                }
            } catch {
                feed.part(follower)
                throw error
            }
            let resumesAt = follower.resumesAt
            feed.part(follower)
            guard let resumesAt else { break }
            reader = Reader(journal, from: resumesAt)
        }
        try Task.checkCancellation()
    }

    private struct Slice: Sendable {
        var bytes: [UInt8]
        var next: LogPosition
        var hasCaughtUp: Bool
        /// Why it does not go on behind that.
        var failure: JournalError?
    }

    /// A place in the files. Proof that it may be sent: the one task that owns it awaits each read before the next.
    private struct Reader: @unchecked Sendable {
        let lines: LineFollower

        init(_ journal: JournalDirectory, from: LogPosition) { lines = LineFollower(journal, from: from) }
    }

    /// Reads on, at most about 64 KiB of what is shown.
    private func read(_ reader: Reader) async throws -> Slice {
        let limit = durable()
        let (isSSE, filter) = (wish.isSSE, filter)
        let next = reader.lines.next
        guard next <= limit else { return Slice(bytes: [], next: next, hasCaughtUp: true) }
        return await withCheckedContinuation { continuation in
            Self.readers[Int(next.rawValue % UInt64(Self.readers.count))].async {
                var pieces = EventPieces(isSSE: isSSE, filter: filter)
                var looked = 0
                var failure: JournalError?
                do throws(JournalError) {
                    try reader.lines.forEach(upTo: limit) { line throws(JournalError) in
                        do throws(EventError) { pieces.add(line, try EventView(line)) } catch {
                            throw Replay.unfoldable(line, error)
                        }
                        // Also where little is shown others get their turn.
                        looked += line.bytes.count
                        return pieces.count < Self.sliceBytes && looked < 64 * Self.sliceBytes
                    }
                } catch {
                    pieces.end(with: error)
                    failure = error
                }
                continuation.resume(
                    returning: Slice(
                        bytes: pieces.take(), next: reader.lines.next, hasCaughtUp: reader.lines.next > limit,
                        failure: failure))
            }
        }
    }
}
