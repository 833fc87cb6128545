import Synchronization

/// Notes once that a client has left, and tells whoever wants to know, also afterwards.
final class LeavingNote: Sendable {
    private struct State {
        var isOpen = false
        var then: (@Sendable () -> Void)?
    }

    private let state = Mutex(State())

    /// True once the client has left.
    var isOpen: Bool { state.withLock { $0.isOpen } }

    /// The client has left.
    func open() {
        let then = state.withLock { state -> (@Sendable () -> Void)? in
            guard !state.isOpen else { return nil }
            state.isOpen = true
            defer { state.then = nil }
            return state.then
        }
        then?()
    }

    /// Runs `body` when the client leaves; at once if it has.
    func whenOpen(_ body: @escaping @Sendable () -> Void) {
        let isOpen = state.withLock { state -> Bool in
            if !state.isOpen { state.then = body }
            return state.isOpen
        }
        if isOpen { body() }
    }
}
