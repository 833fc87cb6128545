import EventLog
import Projections
import Synchronization

/// Wakes those who follow the journal when more of it is durable.
///
/// Bounded: at most `most` followers. Each reads at its own pace from the files, so a slow one costs nobody anything.
final class EventFeed: Sendable {
    /// The most followers at once.
    static let most = 64

    private struct State {
        var gates: [UInt64: DispatchGate] = [:]
        var next: UInt64 = 1
        var isWatching = false
    }

    private let state = Mutex(State())
    private let publisher: Publisher
    private let durable: @Sendable () -> LogPosition

    /// Follows a processor's journal.
    init(_ processor: CommandProcessor) {
        publisher = processor.publisher
        let writer = processor.writer
        durable = { writer.durable }
    }

    /// How many follow now.
    var count: Int { state.withLock { $0.gates.count } }

    /// A place among the followers, and what wakes it; nil where all are taken.
    func subscribe() -> (id: UInt64, gate: DispatchGate)? {
        let subscription = state.withLock { state -> (id: UInt64, gate: DispatchGate)? in
            guard state.gates.count < Self.most else { return nil }
            let (id, gate) = (state.next, DispatchGate())
            state.next += 1
            state.gates[id] = gate
            return (id, gate)
        }
        if subscription != nil { watch() }
        return subscription
    }

    /// Gives the place back.
    func unsubscribe(_ id: UInt64) { state.withLock { _ = $0.gates.removeValue(forKey: id) } }

    /// Asks the publisher once for all followers: so those who come and go leave nothing behind there.
    private func watch() {
        let isFirst = state.withLock { state -> Bool in
            guard !state.isWatching, !state.gates.isEmpty else { return false }
            state.isWatching = true
            return true
        }
        guard isFirst else { return }
        publisher.whenDurable(durable().next) { [weak self] in
            guard let self else { return }
            let gates = state.withLock { state in
                state.isWatching = false
                return Array(state.gates.values)
            }
            for gate in gates { gate.open() }
            watch()
        }
    }
}
