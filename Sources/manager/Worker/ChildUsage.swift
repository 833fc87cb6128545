import CScan
import Glibc

/// Looks at a child that has ended without taking its end away from whoever waits for it: swift-subprocess would
/// otherwise wait for a process that is gone.
enum ChildUsage {
    /// What a look at a child found.
    enum Finding: Equatable {
        /// It runs.
        case running
        /// It has ended and waits to be reaped; the greatest resident set in bytes, nil where unknown.
        case ended(maxRSSBytes: Int64?)
    }

    /// Looks at our child `pid`, without waiting and without reaping it. One that is no child of ours (any more) has
    /// ended, with nothing known.
    static func look(at pid: pid_t) -> Finding {
        var maxRSSBytes: Int64 = 0
        while true {
            switch clinux_look_at_child(pid, &maxRSSBytes) {
            case 0: return .running
            case 1: return .ended(maxRSSBytes: maxRSSBytes)
            default: if errno != EINTR { return .ended(maxRSSBytes: nil) }
            }
        }
    }
}
