import Glibc

extension LocalFileSystem {
    /// Opens an ordinary file below a directory, for reading, for somebody who may see that directory and nothing else.
    ///
    /// Links inside the directory are followed. What counts is the file that was opened, by the kernel's own name for
    /// it: a link that is exchanged meanwhile gains nothing. Throws ENOENT where nothing stands there, EXDEV where the
    /// path leads out of the directory, EINVAL for what is no ordinary file.
    public func open(_ relative: String, beneath directory: String) throws(FileError) -> any File {
        let path = directory + "/" + relative
        let root = try retryingInterrupts("open", directory) {
            Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        }
        defer { Glibc.close(root) }
        // O_NONBLOCK: a pipe must not stop the one who opens it.
        let descriptor = try retryingInterrupts("open", path) {
            Glibc.openat(root, relative, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        }
        let file = LocalFile(path: path, descriptor: descriptor)
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError(operation: "look at", path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileError(operation: "open", path: path, errno: EINVAL) }
        guard try Self.name(of: descriptor, path).hasPrefix(try Self.name(of: root, directory) + "/") else {
            throw FileError(operation: "open", path: path, errno: EXDEV)
        }
        return file
    }

    /// Where an open file stands now, without links (proc_pid_fd(5)).
    private static func name(of descriptor: Int32, _ path: String) throws(FileError) -> String {
        let size = Int(PATH_MAX)
        let buffer = UnsafeMutablePointer<CChar>.allocate(capacity: size)
        defer { buffer.deallocate() }
        let count = readlink("/proc/self/fd/\(descriptor)", buffer, size)
        guard count >= 0 else { throw FileError(operation: "look up", path: path, errno: errno) }
        let bytes = UnsafeBufferPointer(start: buffer, count: count).map { UInt8(bitPattern: $0) }
        let text = String(decoding: bytes, as: UTF8.self)
        return text == "/" ? "" : text
    }
}
