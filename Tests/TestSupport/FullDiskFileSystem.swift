import EventLog
import Glibc
import Synchronization

/// A disk that is full for as long as it is told to be: every write and every reservation throws ENOSPC.
///
/// Renames, removals and the lock's line go through, as they need no new block, and so does what was reserved before.
public final class FullDiskFileSystem: PassingFileSystem {
    /// The real disk.
    public let base: any FileSystem = LocalFileSystem()
    private let full = Atomic(false)
    private let reserved: @Sendable (String) -> Bool

    /// Makes a disk that is not full. `reserved` names the files whose blocks are reserved already: writes to them go
    /// through.
    public init(reserved: @escaping @Sendable (String) -> Bool = { _ in false }) { self.reserved = reserved }

    /// Whether it is full.
    public var isFull: Bool {
        get { full.load(ordering: .acquiring) }
        set { full.store(newValue, ordering: .releasing) }
    }

    /// None, while it is full.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 { isFull ? 0 : try base.freeBytes(path) }

    /// Refuses what needs new blocks.
    public func notice(_ call: FileCall) throws(FileError) {
        switch call {
        case .write(let path, _, _) where !path.hasSuffix("/lock") && !reserved(path):
            if isFull { throw call.failure(ENOSPC) }
        case .reserve: if isFull { throw call.failure(ENOSPC) }
        default: return
        }
    }
}
