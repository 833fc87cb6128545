import EventLog
import Glibc
import Synchronization

/// A file system that fails at the n-th call that would change something, in front of any other one.
///
/// With `.fromThenOn` it is a process that dies there: no later change comes through. With `.once` it is a disk that
/// refuses a single call. A write that fails leaves the first half of its bytes, as a torn one does.
public final class FailingFileSystem: FileSystem {
    /// Which calls fail.
    public enum Extent: Sendable {
        /// The n-th alone.
        case once
        /// The n-th and all after it.
        case fromThenOn
    }

    private struct State {
        var calls = 0
        var log: [String] = []
    }

    private let base: any FileSystem
    private let failingCall: Int
    private let extent: Extent
    private let errorNumber: Int32
    private let state = Mutex(State())

    /// Fails at the call `failingCall`, from 1; 0: never, for counting.
    public init(
        _ base: any FileSystem = LocalFileSystem(), failingCall: Int, _ extent: Extent = .fromThenOn, errno: Int32 = EIO
    ) {
        self.base = base
        self.failingCall = failingCall
        self.extent = extent
        self.errorNumber = errno
    }

    /// How many changing calls there were.
    public var changingCalls: Int { state.withLock { $0.calls } }

    /// The changing calls in order, such as `sync /tmp/a`.
    public var log: [String] { state.withLock { $0.log } }

    /// Counts an opening that makes or empties a file.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let isChanging =
            switch mode {
            case .createNew, .replace, .replacePrivate: true
            case .update: try base.metadata(path) == nil
            default: false
            }
        if isChanging { try count("open", path) }
        return FailingFile(try base.open(path, mode), self)
    }

    /// Never fails by itself.
    public func list(_ directory: String) throws(FileError) -> [String] { try base.list(directory) }

    /// Never fails by itself.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? { try base.metadata(path) }

    /// Counts where the directory is missing.
    public func createDirectories(_ path: String) throws(FileError) {
        if try base.metadata(path) == nil { try count("createDirectories", path) }
        try base.createDirectories(path)
    }

    /// Counts.
    public func rename(_ from: String, to: String) throws(FileError) {
        try count("rename", from)
        try base.rename(from, to: to)
    }

    /// Counts.
    public func link(_ from: String, to: String) throws(FileError) {
        try count("link", to)
        try base.link(from, to: to)
    }

    /// Counts where there is something to remove.
    public func remove(_ path: String) throws(FileError) {
        if try base.metadata(path) != nil { try count("remove", path) }
        try base.remove(path)
    }

    /// Counts.
    public func syncDirectory(_ path: String) throws(FileError) {
        try count("syncDirectory", path)
        try base.syncDirectory(path)
    }

    /// Never fails by itself.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 { try base.freeBytes(path) }

    /// Notes a changing call and throws when it is one that fails.
    fileprivate func count(_ operation: String, _ path: String) throws(FileError) {
        let fails = state.withLock { state in
            state.calls += 1
            state.log.append("\(operation) \(path)")
            guard failingCall > 0 else { return false }
            return extent == .once ? state.calls == failingCall : state.calls >= failingCall
        }
        if fails { throw FileError(operation: operation, path: path, errno: errorNumber) }
    }
}

/// An open file of a `FailingFileSystem`.
private final class FailingFile: File {
    private let base: any File
    private let owner: FailingFileSystem

    init(_ base: any File, _ owner: FailingFileSystem) {
        self.base = base
        self.owner = owner
    }

    var path: String { base.path }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        try base.read(at: offset, into: buffer)
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        do throws(FileError) { try owner.count("write", path) } catch {
            // A process that has died writes nothing more; the write that it dies in may leave a part.
            if owner.isFirstFailure {
                try base.write(UnsafeRawBufferPointer(rebasing: bytes[..<(bytes.count / 2)]), at: offset)
            }
            throw error
        }
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) {
        try owner.count("sync", path)
        try base.sync()
    }

    func sizeBytes() throws(FileError) -> Int64 { try base.sizeBytes() }

    func truncate(toBytes size: Int64) throws(FileError) {
        try owner.count("truncate", path)
        try base.truncate(toBytes: size)
    }

    func reserve(upTo end: Int64) throws(FileError) -> Bool {
        try owner.count("reserve", path)
        return try base.reserve(upTo: end)
    }

    func identity() throws(FileError) -> FileIdentity { try base.identity() }

    func tryLock() throws(FileError) -> Bool { try base.tryLock() }

    func close() { base.close() }
}

extension FailingFileSystem {
    /// True while the newest changing call is the n-th.
    fileprivate var isFirstFailure: Bool { state.withLock { $0.calls == failingCall } }
}
