import Glibc

/// The real disk, through the system's calls.
public struct LocalFileSystem: FileSystem {
    /// Makes the door; it holds nothing.
    public init() {}

    /// See `FileSystem.open`.
    public func open(_ path: String, _ mode: OpenMode) throws(FileError) -> any File {
        let flags: Int32 =
            switch mode {
            case .read: O_RDONLY
            case .update: O_RDWR | O_CREAT
            case .createNew: O_RDWR | O_CREAT | O_EXCL
            case .replace, .replacePrivate: O_RDWR | O_CREAT | O_TRUNC
            }
        let permissions: mode_t = mode == .replacePrivate ? 0o600 : 0o644
        // O_NONBLOCK: whoever puts a pipe where a file is due must not stop the one who opens it. Files ignore it.
        let descriptor = try retryingInterrupts("open", path) {
            Glibc.open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, permissions)
        }
        if mode == .replacePrivate, fchmod(descriptor, permissions) != 0 {
            let code = errno
            Glibc.close(descriptor)
            throw FileError(operation: "protect", path: path, errno: code)
        }
        return LocalFile(path: path, descriptor: descriptor)
    }

    /// See `FileSystem.list`.
    public func list(_ directory: String) throws(FileError) -> [String] {
        guard let handle = opendir(directory) else {
            throw FileError(operation: "list", path: directory, errno: errno)
        }
        defer { closedir(handle) }
        var names: [String] = []
        while let entry = readdir(handle) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// See `FileSystem.metadata`.
    public func metadata(_ path: String) throws(FileError) -> FileMetadata? {
        var status = stat()
        guard stat(path, &status) == 0 else {
            // ELOOP: a link that leads to itself leads to nothing, like one whose target is gone.
            if errno == ENOENT || errno == ENOTDIR || errno == ELOOP { return nil }
            throw FileError(operation: "look at", path: path, errno: errno)
        }
        return FileMetadata(
            identity: FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino)),
            sizeBytes: Int64(status.st_size),
            isDirectory: status.st_mode & S_IFMT == S_IFDIR,
            isRegular: status.st_mode & S_IFMT == S_IFREG,
            permissions: UInt16(truncatingIfNeeded: status.st_mode & 0o7777))
    }

    /// See `FileSystem.resolve`.
    public func resolve(_ path: String) throws(FileError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw FileError(operation: "look up", path: path, errno: errno)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// See `FileSystem.createDirectories`.
    public func createDirectories(_ path: String) throws(FileError) {
        if let existing = try metadata(path) {
            guard existing.isDirectory else { throw FileError(operation: "create", path: path, errno: ENOTDIR) }
            return
        }
        let parent = parentDirectory(of: path)
        try createDirectories(parent)
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
            throw FileError(operation: "create", path: path, errno: errno)
        }
        try syncDirectory(parent)
    }

    /// See `FileSystem.rename`.
    public func rename(_ from: String, to: String) throws(FileError) {
        guard Glibc.rename(from, to) == 0 else { throw FileError(operation: "rename", path: from, errno: errno) }
    }

    /// See `FileSystem.link`.
    public func link(_ from: String, to: String) throws(FileError) {
        guard Glibc.link(from, to) == 0 else { throw FileError(operation: "link", path: to, errno: errno) }
    }

    /// See `FileSystem.remove`.
    public func remove(_ path: String) throws(FileError) {
        guard unlink(path) == 0 else { throw FileError(operation: "remove", path: path, errno: errno) }
    }

    /// See `FileSystem.removeDirectory`.
    public func removeDirectory(_ path: String) throws(FileError) {
        guard rmdir(path) == 0 else { throw FileError(operation: "remove", path: path, errno: errno) }
    }

    /// See `FileSystem.syncDirectory`.
    public func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = try retryingInterrupts("open", path) {
            Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileError(operation: "sync", path: path, errno: errno) }
    }

    /// See `FileSystem.freeBytes`.
    public func freeBytes(_ path: String) throws(FileError) -> Int64 {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else {
            throw FileError(operation: "look at", path: path, errno: errno)
        }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }
}

/// The directory that holds the path; `.` for a bare name.
public func parentDirectory(of path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Repeats a call for as long as a signal interrupts it; -1 becomes a `FileError`.
func retryingInterrupts(_ operation: String, _ path: String, _ call: () -> Int32) throws(FileError) -> Int32 {
    while true {
        let result = call()
        if result >= 0 { return result }
        if errno != EINTR { throw FileError(operation: operation, path: path, errno: errno) }
    }
}
