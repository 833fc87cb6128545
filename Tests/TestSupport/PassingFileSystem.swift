import EventLog

/// A double that stands before another file system: `notice` is asked before each call goes through, and may throw.
public protocol PassingFileSystem: FileSystem {
    /// The file system behind this one.
    var base: any FileSystem { get }

    /// Told of a call before it goes through, of a read after it; what it throws is what the caller gets.
    func notice(_ call: FileCall) throws(FileError)
}

/// A call on a `PassingFileSystem` or on one of its files.
public enum FileCall: Sendable, Equatable {
    /// An opening; `makes`: it makes or empties a file.
    case open(String, makes: Bool)
    /// A look that changes nothing: at names, sizes, links.
    case look(String)
    /// A read of so many bytes: told of when it is done.
    case read(String, offset: Int64, bytes: Int)
    /// A write.
    case write(String, offset: Int64, bytes: Int)
    /// A sync of a file.
    case sync(String)
    /// A cut or an extension of a file.
    case truncate(String)
    /// A reservation of space.
    case reserve(String, upTo: Int64)
    /// A directory that is missing is made.
    case createDirectories(String)
    /// A rename of this path.
    case rename(String)
    /// A second name at this path.
    case link(String)
    /// A removal of what stands.
    case remove(String)
    /// A sync of a directory.
    case syncDirectory(String)

    /// What is tried, as in a `FileError`, and where.
    public var text: (operation: String, path: String) {
        switch self {
        case .open(let path, _): ("open", path)
        case .look(let path): ("look at", path)
        case .read(let path, _, _): ("read", path)
        case .write(let path, _, _): ("write", path)
        case .sync(let path): ("sync", path)
        case .truncate(let path): ("truncate", path)
        case .reserve(let path, _): ("reserve space in", path)
        case .createDirectories(let path): ("create", path)
        case .rename(let path): ("rename", path)
        case .link(let path): ("link", path)
        case .remove(let path): ("remove", path)
        case .syncDirectory(let path): ("syncDirectory", path)
        }
    }

    /// True where the call changes something or makes it durable.
    public var isChanging: Bool {
        switch self {
        case .open(_, let makes): makes
        case .look, .read: false
        default: true
        }
    }

    /// The error of this call, with the system's number.
    public func failure(_ errno: Int32) -> FileError {
        FileError(operation: text.operation, path: text.path, errno: errno)
    }
}

extension PassingFileSystem {
    /// Opens behind a file that tells of its calls.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let makes =
            switch mode {
            case .createNew, .replace, .replacePrivate: true
            case .update: try base.metadata(path) == nil
            case .read: false
            }
        try notice(.open(path, makes: makes))
        return PassingFile(try base.open(path, mode), self)
    }

    /// Told as a look.
    public func list(_ directory: String) throws(FileError) -> [String] {
        try notice(.look(directory))
        return try base.list(directory)
    }

    /// Told as a look.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? {
        try notice(.look(path))
        return try base.metadata(path)
    }

    /// Told as a look.
    public func resolve(_ path: String) throws(FileError) -> String {
        try notice(.look(path))
        return try base.resolve(path)
    }

    /// Told where the directory is missing.
    public func createDirectories(_ path: String) throws(FileError) {
        if try base.metadata(path) == nil { try notice(.createDirectories(path)) }
        try base.createDirectories(path)
    }

    /// Told.
    public func rename(_ from: String, to: String) throws(FileError) {
        try notice(.rename(from))
        try base.rename(from, to: to)
    }

    /// Told.
    public func link(_ from: String, to: String) throws(FileError) {
        try notice(.link(to))
        try base.link(from, to: to)
    }

    /// Told where there is something to remove.
    public func remove(_ path: String) throws(FileError) {
        if try base.metadata(path) != nil { try notice(.remove(path)) }
        try base.remove(path)
    }

    /// Told.
    public func removeDirectory(_ path: String) throws(FileError) {
        try notice(.remove(path))
        try base.removeDirectory(path)
    }

    /// Told.
    public func syncDirectory(_ path: String) throws(FileError) {
        try notice(.syncDirectory(path))
        try base.syncDirectory(path)
    }

    /// Told as a look.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 {
        try notice(.look(path))
        return try base.freeBytes(path)
    }
}

/// An open file that tells its file system of the calls on it.
private final class PassingFile: File {
    private let base: any File
    private let owner: any PassingFileSystem

    init(_ base: any File, _ owner: any PassingFileSystem) {
        self.base = base
        self.owner = owner
    }

    var path: String { base.path }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        let count = try base.read(at: offset, into: buffer)
        try owner.notice(.read(path, offset: offset, bytes: count))
        return count
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        do throws(FileError) { try owner.notice(.write(path, offset: offset, bytes: bytes.count)) } catch {
            let kept = (owner as? any TearingFileSystem)?.takeTornBytes(of: bytes.count) ?? 0
            if kept > 0 { try base.write(UnsafeRawBufferPointer(rebasing: bytes[..<kept]), at: offset) }
            throw error
        }
        try base.write(bytes, at: offset)
    }

    func sync() throws(FileError) {
        try owner.notice(.sync(path))
        try base.sync()
    }

    func sizeBytes() throws(FileError) -> Int64 { try base.sizeBytes() }

    func truncate(toBytes size: Int64) throws(FileError) {
        try owner.notice(.truncate(path))
        try base.truncate(toBytes: size)
    }

    func reserve(upTo end: Int64) throws(FileError) -> Bool {
        try owner.notice(.reserve(path, upTo: end))
        return try base.reserve(upTo: end)
    }

    func identity() throws(FileError) -> FileIdentity { try base.identity() }
    func tryLock() throws(FileError) -> Bool { try base.tryLock() }
    func close() { base.close() }
}

/// A double whose failed writes leave a part of their bytes.
public protocol TearingFileSystem: PassingFileSystem {
    /// How many of the bytes of the write that has just failed stand all the same.
    func takeTornBytes(of count: Int) -> Int
}
