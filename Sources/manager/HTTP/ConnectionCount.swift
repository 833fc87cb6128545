import Synchronization

/// How many connections a port holds.
final class ConnectionCount: Sendable {
    /// Beyond the bound so many more are answered that it is full; the rest is closed at once.
    private static let courtesy = 256

    /// What becomes of a new connection.
    enum Entry: Sendable { case served, toldFull, closed }

    /// The most that are served.
    let most: Int
    private let held = Atomic<Int>(0)

    init(most: Int) { self.most = most }

    /// Connections that are open now.
    var now: Int { held.load(ordering: .relaxed) }

    /// A connection came. Whatever the answer, `leave` must be called when it is gone.
    func enter() -> Entry {
        let count = held.add(1, ordering: .relaxed).newValue
        return count <= most ? .served : count <= most + Self.courtesy ? .toldFull : .closed
    }

    /// A connection is gone.
    func leave() { held.subtract(1, ordering: .relaxed) }
}
