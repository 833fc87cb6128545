import Dispatch
import EventLog
import Synchronization

/// Pieces of an answer that a thread makes and a task writes; at most `depth` wait in between.
///
/// The thread blocks while the client is slower, and gives up when nothing was taken for `patience`.
final class ChunkBridge: Sendable {
    private static let depth = 4

    /// Nobody takes pieces any more, or not fast enough.
    struct Abandoned: Error {}

    /// The pieces, in order; ends with the thread's work, throws what that threw.
    let chunks: AsyncThrowingStream<[UInt8], any Error>
    /// Ends when the client was too slow.
    let overdue: AsyncStream<Void>

    private let source: AsyncThrowingStream<[UInt8], any Error>.Continuation
    private let overdueSource: AsyncStream<Void>.Continuation
    private let credits = DispatchSemaphore(value: 0)
    private let isAbandoned = Mutex(false)
    private let patience: Duration

    /// `patience`: how long a client may take nothing.
    init(patience: Duration) {
        self.patience = patience
        // Not as its first value: a semaphore that ends below that one ends the program.
        for _ in 0..<Self.depth { credits.signal() }
        (chunks, source) = AsyncThrowingStream.makeStream()
        (overdue, overdueSource) = AsyncStream.makeStream()
    }

    /// Starts the thread; `make` calls `emit` and returns at the end.
    func start(_ name: String, _ make: @escaping @Sendable (ChunkBridge) throws -> Void) {
        startThread(named: name) { [self] in
            do {
                try make(self)
                source.finish()
            } catch { source.finish(throwing: error) }
        }
    }

    /// Hands a piece over; blocks while `depth` wait. Throws `Abandoned` when nobody takes them.
    func emit(_ bytes: [UInt8]) throws {
        let limit = DispatchTime.now() + .milliseconds(Int(patience.seconds * 1000))
        guard credits.wait(timeout: limit) == .success else {
            overdueSource.finish()
            throw Abandoned()
        }
        guard !isGone else { throw Abandoned() }
        source.yield(bytes)
    }

    /// A piece was taken and written.
    func taken() { credits.signal() }

    /// True when the client has left.
    var isGone: Bool { isAbandoned.withLock { $0 } }

    /// The client has left: the thread ends at its next piece.
    func abandon() {
        isAbandoned.withLock { $0 = true }
        credits.signal()
    }
}
