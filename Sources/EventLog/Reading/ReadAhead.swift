import Glibc
import Synchronization

/// Reads events ahead on a thread of its own, at most four chunks, so that inflating and checking overlap with what is
/// done to them.
final class ReadAhead: Sendable {
    private struct State {
        var ready: [CheckedLines] = []
        var failure: JournalError?
        var isFinished = false
        var isCancelled = false
    }

    private let state = Mutex(State())
    private let changed = ThreadSignal()
    private static let capacity = 4

    /// Starts the thread.
    init(_ source: CheckedSource) {
        startThread(named: "journal-read") { self.run(source) }
    }

    /// The next chunk; nil at the end. Blocks the calling thread until there is one.
    func next() throws(JournalError) -> CheckedLines? {
        while true {
            let ticket = changed.ticket()
            let step = state.withLock { state -> (chunk: CheckedLines?, failure: JournalError?, done: Bool) in
                if !state.ready.isEmpty { return (state.ready.removeFirst(), nil, false) }
                return (nil, state.failure, state.isFinished)
            }
            if let chunk = step.chunk {
                changed.notify()
                return chunk
            }
            if let failure = step.failure { throw failure }
            if step.done { return nil }
            changed.wait(past: ticket)
        }
    }

    /// Lets the thread end; what it has read is dropped.
    func cancel() {
        state.withLock { $0.isCancelled = true }
        changed.notify()
    }

    private func run(_ source: CheckedSource) {
        do throws(JournalError) {
            while let chunk = try source.next() {
                while true {
                    let ticket = changed.ticket()
                    enum Room { case put, full, cancelled }
                    let room = state.withLock { state -> Room in
                        if state.isCancelled { return .cancelled }
                        if state.ready.count >= Self.capacity { return .full }
                        state.ready.append(chunk)
                        return .put
                    }
                    if room == .cancelled { return }
                    if room == .put { break }
                    changed.wait(past: ticket)
                }
                changed.notify()
            }
            state.withLock { $0.isFinished = true }
        } catch {
            state.withLock { $0.failure = error }
        }
        changed.notify()
    }
}
