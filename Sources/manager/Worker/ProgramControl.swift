import Glibc
import Synchronization
import SystemPackage

/// The handle by which a running program is stopped, from any thread. The first reason counts.
final class ProgramControl: Sendable {
    private struct State {
        var reason: StopReason?
        var wakeDescriptor: FileDescriptor?
        var onStop: (@Sendable (StopReason) -> Void)?
    }

    private let state = Mutex(State())

    /// Makes a handle for one attempt; it may be stopped before its program starts.
    init() {}

    /// The reason for which the program is to stop; nil while none was given.
    var stopReason: StopReason? { state.withLock { $0.reason } }

    /// Asks for the program's end; later reasons are ignored.
    func stop(_ reason: StopReason) {
        let told = state.withLock { state -> (@Sendable (StopReason) -> Void)? in
            guard state.reason == nil else { return nil }
            state.reason = reason
            if let descriptor = state.wakeDescriptor { Self.wake(descriptor) }
            return state.onStop
        }
        told?(reason)
    }

    /// Calls `body` once with the reason when it is to stop; at once when it is already.
    func whenStopped(_ body: @escaping @Sendable (StopReason) -> Void) {
        let reason = state.withLock { state -> StopReason? in
            if state.reason == nil { state.onStop = body }
            return state.reason
        }
        if let reason { body(reason) }
    }

    /// From now on `stop` writes one byte to this descriptor, which must not block; at once when it was called before.
    func attach(_ descriptor: FileDescriptor) {
        state.withLock { state in
            state.wakeDescriptor = descriptor
            if state.reason != nil { Self.wake(descriptor) }
        }
    }

    /// The descriptor is about to be closed.
    func detach() { state.withLock { $0.wakeDescriptor = nil } }

    private static func wake(_ descriptor: FileDescriptor) {
        // A full pipe has a byte in it already, which is all that is wanted.
        var byte: UInt8 = 1
        while write(descriptor.rawValue, &byte, 1) < 0 && errno == EINTR {}
    }
}
