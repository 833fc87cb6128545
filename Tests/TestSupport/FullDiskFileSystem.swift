import EventLog
import Glibc
import Synchronization

/// A disk that is full for as long as it is told to be: every reservation throws ENOSPC, and every write that goes beyond
/// the file's end and what was reserved of it.
///
/// Renames, removals and the lock's line go through, as they need no new block, and so does what was reserved before.
public final class FullDiskFileSystem: PassingFileSystem {
    /// The real disk.
    public let base: any FileSystem = LocalFileSystem()
    private let full = Atomic(false)
    /// How far each file has its blocks, by the path that it was opened by: written or reserved.
    private let held = Mutex<[String: Int64]>([:])

    /// Makes a disk that is not full.
    public init() {}

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
        case .open(let path, let makes):
            let size = makes ? 0 : try base.metadata(path)?.sizeBytes ?? 0
            held.withLock { $0[path] = max(size, makes ? 0 : $0[path] ?? 0) }
        case .write(let path, let offset, let bytes) where !path.hasSuffix("/lock"):
            try hold(path, upTo: offset + Int64(bytes), call)
        case .reserve(let path, let end): try hold(path, upTo: end, call)
        default: return
        }
    }

    private func hold(_ path: String, upTo end: Int64, _ call: FileCall) throws(FileError) {
        let fits = held.withLock { held in
            if end <= held[path] ?? 0 { return true }
            if isFull { return false }
            held[path] = end
            return true
        }
        if !fits { throw call.failure(ENOSPC) }
    }
}
