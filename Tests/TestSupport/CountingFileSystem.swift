import EventLog
import Glibc
import Synchronization

/// A file system that counts the bytes that are read of each file, and can refuse reads at a place.
public final class CountingFileSystem: FileSystem {
    private struct State {
        var bytes: [String: Int] = [:]
        var refused: Range<Int64>?
    }

    private let base = LocalFileSystem()
    private let state = Mutex(State())

    /// Counts from nothing.
    public init() {}

    /// How many bytes were read of files whose path ends so, since the last `reset`.
    public func bytesRead(_ suffix: String) -> Int {
        state.withLock { $0.bytes.filter { $0.key.hasSuffix(suffix) }.reduce(0) { $0 + $1.value } }
    }

    /// Counts from nothing again.
    public func reset() { state.withLock { $0.bytes = [:] } }

    /// Refuses reads of result files that begin at one of these offsets; nil: none.
    public func refuseReads(in offsets: Range<Int64>?) { state.withLock { $0.refused = offsets } }

    fileprivate func count(_ path: String, _ offset: Int64, _ bytes: Int) throws(FileError) {
        let isRefused = state.withLock { state -> Bool in
            state.bytes[path, default: 0] += bytes
            return path.hasSuffix(".csv") && state.refused?.contains(offset) ?? false
        }
        if isRefused { throw FileError(operation: "read", path: path, errno: EIO) }
    }

    /// Files that count.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        CountingFile(try base.open(path, mode), self)
    }

    /// As the real one.
    public func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }
    /// As the real one.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? { try base.metadata(path) }
    /// As the real one.
    public func createDirectories(_ path: String) throws(FileError) { try base.createDirectories(path) }
    /// As the real one.
    public func rename(_ from: String, to: String) throws(FileError) { try base.rename(from, to: to) }
    /// As the real one.
    public func link(_ from: String, to: String) throws(FileError) { try base.link(from, to: to) }
    /// As the real one.
    public func remove(_ path: String) throws(FileError) { try base.remove(path) }
    /// As the real one.
    public func syncDirectory(_ path: String) throws(FileError) { try base.syncDirectory(path) }
    /// As the real one.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 { try base.freeBytes(path) }
}

/// An open file of a `CountingFileSystem`.
private final class CountingFile: File {
    private let base: any File
    private let owner: CountingFileSystem

    init(_ base: any File, _ owner: CountingFileSystem) {
        self.base = base
        self.owner = owner
    }

    var path: String { base.path }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        let count = try base.read(at: offset, into: buffer)
        try owner.count(path, offset, count)
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) { try base.sync() }
    func sizeBytes() throws(FileError) -> Int64 { try base.sizeBytes() }
    func truncate(toBytes size: Int64) throws(FileError) { try base.truncate(toBytes: size) }
    func reserve(upTo end: Int64) throws(FileError) -> Bool { try base.reserve(upTo: end) }
    func identity() throws(FileError) -> FileIdentity { try base.identity() }
    func tryLock() throws(FileError) -> Bool { try base.tryLock() }
    func close() { base.close() }
}
