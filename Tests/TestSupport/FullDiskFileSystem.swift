import EventLog
import Glibc
import Synchronization

/// A disk that is full for as long as it is told to be: every reservation throws ENOSPC, and every write that goes beyond
/// the file's end and what was reserved of it.
///
/// Renames, removals and the lock's line go through, as they need no new block.
public final class FullDiskFileSystem: FileSystem {
    private let base = LocalFileSystem()
    private let full = Atomic(false)

    /// Makes a disk that is not full.
    public init() {}

    /// Whether it is full.
    public var isFull: Bool {
        get { full.load(ordering: .acquiring) }
        set { full.store(newValue, ordering: .releasing) }
    }

    /// Never fails by itself: an empty file needs no block.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        FullDiskFile(try base.open(path, mode), self)
    }

    /// Never fails by itself.
    public func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }

    /// Never fails by itself.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? { try base.metadata(path) }

    /// Never fails by itself.
    public func createDirectories(_ path: String) throws(FileError) { try base.createDirectories(path) }

    /// Never fails by itself.
    public func rename(_ from: String, to: String) throws(FileError) { try base.rename(from, to: to) }

    /// Never fails by itself.
    public func link(_ from: String, to: String) throws(FileError) { try base.link(from, to: to) }

    /// Never fails by itself.
    public func remove(_ path: String) throws(FileError) { try base.remove(path) }

    /// Never fails by itself.
    public func syncDirectory(_ path: String) throws(FileError) { try base.syncDirectory(path) }

    /// None, while it is full.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 { isFull ? 0 : try base.freeBytes(path) }

    fileprivate func check(_ operation: String, _ path: String) throws(FileError) {
        if isFull, !path.hasSuffix("/lock") { throw FileError(operation: operation, path: path, errno: ENOSPC) }
    }
}

private final class FullDiskFile: File {
    private let base: any File
    private let owner: FullDiskFileSystem
    private let reserved = Atomic<Int64>(0)

    init(_ base: any File, _ owner: FullDiskFileSystem) {
        self.base = base
        self.owner = owner
    }

    var path: String { base.path }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        try base.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        let taken = max(reserved.load(ordering: .acquiring), try base.sizeBytes())
        if offset + Int64(bytes.count) > taken { try owner.check("write", path) }
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) { try base.sync() }

    func sizeBytes() throws(FileError) -> Int64 { try base.sizeBytes() }

    func truncate(toBytes size: Int64) throws(FileError) { try base.truncate(toBytes: size) }

    func reserve(upTo end: Int64) throws(FileError) -> Bool {
        try owner.check("reserve space in", path)
        let isReserved = try base.reserve(upTo: end)
        if isReserved { reserved.store(end, ordering: .releasing) }
        return isReserved
    }

    func identity() throws(FileError) -> FileIdentity { try base.identity() }

    func tryLock() throws(FileError) -> Bool { try base.tryLock() }

    func close() { base.close() }
}
