import EventLog
import Foundation

/// The real disk, whose syncs take some milliseconds each, and can be held up for as long as a test wants.
public final class SlowDisk: PassingFileSystem, @unchecked Sendable {  // `isHeld` is touched under `change` alone
    /// The real disk.
    public let base: any FileSystem = LocalFileSystem()
    private let change = NSCondition()
    private var isHeld = false
    private let milliseconds: UInt32

    /// `milliseconds`: what a sync takes at least.
    public init(milliseconds: UInt32) { self.milliseconds = milliseconds }

    /// Lets no sync end until `release`.
    public func hold() { change.withLock { isHeld = true } }

    /// Lets syncs end again.
    public func release() {
        change.withLock { isHeld = false }
        change.broadcast()
    }

    /// Delays and holds syncs.
    public func notice(_ call: FileCall) {
        guard case .sync = call else { return }
        usleep(milliseconds * 1000)
        change.withLock { while isHeld { change.wait() } }
    }
}
