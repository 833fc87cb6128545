import Glibc

/// The one door to the disk: everything that the manager reads or writes goes through it, so that faults
/// can be injected below all of it.
///
/// Paths are absolute or relative to the working directory. Nothing here is buffered: when a call returns,
/// the kernel has the bytes; when `File.sync` returns, the disk has them. Every descriptor is close-on-exec.
public protocol FileSystem: Sendable {
    /// Opens a file. Throws `FileError` (ENOENT, EEXIST, EACCES …). Never waits, not even for a pipe's other end.
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File

    /// The names in a directory, sorted by bytes, without `.` and `..`. Throws when it does not exist.
    func list(_ directory: String) throws(FileError) -> [String]

    /// Size, identity and kind of what stands at the path; nil when nothing does. Follows links.
    func metadata(_ path: String) throws(FileError) -> FileMetadata?

    /// The absolute path without links, `.` and `..`, so that links to one file count as one. Throws ENOENT where
    /// nothing stands there.
    func resolve(_ path: String) throws(FileError) -> String

    /// Makes a directory and those above it; each new one's parent is synced.
    func createDirectories(_ path: String) throws(FileError)

    /// Renames, replacing what stands at `to`. Durable after `syncDirectory` of the parent.
    func rename(_ from: String, to: String) throws(FileError)

    /// Makes `to` a second name of the file at `from`. Throws EEXIST where `to` stands.
    func link(_ from: String, to: String) throws(FileError)

    /// Removes a file. Throws ENOENT when there is none.
    func remove(_ path: String) throws(FileError)

    /// Removes an empty directory. Throws ENOENT when there is none, ENOTEMPTY when something stands in it.
    func removeDirectory(_ path: String) throws(FileError)

    /// Makes creates, renames and removes in this directory durable.
    func syncDirectory(_ path: String) throws(FileError)

    /// Bytes that an unprivileged process may still write on the file system that holds the path.
    func freeBytes(_ path: String) throws(FileError) -> Int64
}

extension FileSystem {
    /// Removes what stands at the path, a directory with all that is in it. A link is removed, what it leads to stays.
    /// Throws ENOENT when there is nothing.
    public func removeTree(_ path: String) throws(FileError) {
        do throws(FileError) { return try remove(path) } catch {
            guard error.errno == EISDIR || error.errno == EPERM else { throw error }
        }
        for name in try list(path) {
            // Gone meanwhile: somebody else removes it too.
            do throws(FileError) { try removeTree(path + "/" + name) } catch  where error.isNotFound {}
        }
        try removeDirectory(path)
    }

    /// Makes the names of a directory and of the one that it stands in durable: the process that made them may have been
    /// killed before its sync, and then a power loss would take away all that is in them.
    public func syncPlace(of directory: String) throws(FileError) {
        let parent = parentDirectory(of: directory)
        try syncDirectory(parent)
        do throws(FileError) { try syncDirectory(parentDirectory(of: parent)) } catch {
            // What stands above may be closed to us; then somebody else has made the parent.
            guard error.errno == EACCES || error.errno == EPERM else { throw error }
        }
    }
}

/// How a file is opened.
public enum OpenMode: Sendable, Equatable {
    /// For reading; it must exist.
    case read
    /// For reading and writing; made empty where it does not exist.
    case update
    /// For reading and writing; it must not exist (EEXIST).
    case createNew
    /// For writing; emptied where it exists.
    case replace
    /// As `replace`, and nobody but the owner may read it (0600), also where it stood with other permissions.
    case replacePrivate
}

/// One open file. Offsets and sizes are bytes. Not for concurrent writers: one owner at a time.
public protocol File: AnyObject, Sendable {
    /// The path that it was opened by.
    var path: String { get }

    /// Reads at most `buffer.count` bytes at `offset`; 0 means the end of the file.
    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int

    /// Writes all of the bytes at `offset`, or throws; then any part of them may stand.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError)

    /// Makes the content (and the size) durable. Never retry a failed one: the kernel may have dropped the bytes.
    func sync() throws(FileError)

    /// The size now, in bytes.
    func sizeBytes() throws(FileError) -> Int64

    /// Cuts the file, or extends it with zeros.
    func truncate(toBytes size: Int64) throws(FileError)

    /// Reserves space up to `upTo` bytes without changing the size. False where the file system cannot;
    /// throws ENOSPC where there is none.
    func reserve(upTo end: Int64) throws(FileError) -> Bool

    /// Which file this is, whatever it is called now.
    func identity() throws(FileError) -> FileIdentity

    /// When the file was made, in nanoseconds since 1970, which tells it from a later one with its inode; 0 where the system
    /// does not say.
    func birthNanoseconds() -> Int64

    /// Takes the advisory lock (flock) without waiting; false when another process holds it.
    func tryLock() throws(FileError) -> Bool

    /// Closes the descriptor; further calls throw EBADF. Twice is harmless.
    func close()
}

extension File {
    /// Nothing is known of a double's birth.
    public func birthNanoseconds() -> Int64 { 0 }
}

/// Device and inode: the same for every name of one file.
public struct FileIdentity: Sendable, Hashable {
    /// The device that holds the file.
    public let device: UInt64
    /// The file's number on that device.
    public let inode: UInt64

    /// Makes an identity from its two numbers.
    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// What `FileSystem.metadata` tells.
public struct FileMetadata: Sendable, Equatable {
    /// Device and inode.
    public let identity: FileIdentity
    /// Size in bytes; of no meaning for directories.
    public let sizeBytes: Int64
    /// True for a directory.
    public let isDirectory: Bool
    /// True for an ordinary file: no directory, pipe, socket or device.
    public let isRegular: Bool
    /// Permission bits, such as 0o600.
    public let permissions: UInt16

    /// Makes a description; for doubles of the file system.
    public init(
        identity: FileIdentity, sizeBytes: Int64, isDirectory: Bool, isRegular: Bool, permissions: UInt16
    ) {
        self.identity = identity
        self.sizeBytes = sizeBytes
        self.isDirectory = isDirectory
        self.isRegular = isRegular
        self.permissions = permissions
    }
}
