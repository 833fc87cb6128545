/// The lock of the one process that may append: flock on `journal/lock`, which holds one JSON line about the holder.
///
/// The line is written in place: flock follows the inode. The kernel gives the lock free when the process ends, and
/// no child inherits it.
public final class DirectoryLock: Sendable {
    private let file: any File

    /// Takes the lock, making the directory where it is missing. Throws `.locked` with the holder's line.
    public init(_ directory: String, on fileSystem: any FileSystem) throws(JournalError) {
        let path = directory + "/lock"
        do {
            while true {
                try fileSystem.createDirectories(directory)
                let opened = try fileSystem.open(path, .update)
                guard try opened.tryLock() else {
                    let line = String(decoding: try readBytes(of: opened, at: 0, count: 4096), as: UTF8.self)
                    throw JournalError.locked(
                        path: directory, holder: line.split(separator: "\n").first.map(String.init) ?? "unknown")
                }
                // `reset` may have moved the directory away between opening and locking: then this is another's lock.
                let identity = try opened.identity()
                if try fileSystem.metadata(path)?.identity == identity {
                    file = opened
                    return
                }
                opened.close()
            }
        } catch let error as FileError {
            throw .file(error)
        } catch let error as JournalError {
            throw error
        } catch { preconditionFailure("the lock threw \(error)") }
    }

    /// Writes who holds the lock: one JSON line without its newline.
    public func describe(_ line: String) throws(FileError) {
        let bytes = Array((line + "\n").utf8)
        // Written before it is cut: a full disk keeps the block that the old line has.
        try writeAll(bytes, to: file, at: 0)
        try file.truncate(toBytes: Int64(bytes.count))
    }

    /// Gives the lock free. The file stays: removing it would let two processes hold two inodes.
    public func release() { file.close() }
}
