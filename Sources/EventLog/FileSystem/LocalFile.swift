import CScan
import Glibc
import Synchronization

/// An open file of the real disk. The descriptor lives in a mutex only so that closing twice, or closing
/// while a read is under way, is harmless.
final class LocalFile: File {
    let path: String
    private let descriptor: Mutex<Int32>

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = Mutex(descriptor)
    }

    deinit { close() }

    func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> Int {
        let fd = descriptor.withLock { $0 }
        while true {
            let count = pread(fd, buffer.baseAddress, buffer.count, off_t(offset))
            if count >= 0 { return count }
            if errno != EINTR { throw failure("read") }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(FileError) {
        let fd = descriptor.withLock { $0 }
        var done = 0
        while done < bytes.count {
            let count = pwrite(
                fd, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure("write")
            }
            done += count
        }
    }

    func sync() throws(FileError) {
        guard fdatasync(descriptor.withLock { $0 }) == 0 else { throw failure("sync") }
    }

    func sizeBytes() throws(FileError) -> Int64 { Int64(try status().st_size) }

    func truncate(toBytes size: Int64) throws(FileError) {
        guard ftruncate(descriptor.withLock { $0 }, off_t(size)) == 0 else { throw failure("truncate") }
    }

    func reserve(upTo end: Int64) throws(FileError) -> Bool {
        let size = try sizeBytes()
        guard end > size else { return true }
        // A reservation that does not fit is not begun: ext4 would keep what it had taken of it by then, all that was free,
        // for this one file.
        let missing = end - Int64(try status().st_blocks) * 512
        if missing > 0, try freeBytes() < missing {
            errno = ENOSPC
            throw failure("reserve space in")
        }
        while true {
            if clinux_reserve(descriptor.withLock { $0 }, size, end - size) == 0 { return true }
            switch errno {
            case EINTR: continue
            case EOPNOTSUPP, ENOSYS, EINVAL: return false
            default: throw failure("reserve space in")
            }
        }
    }

    private func freeBytes() throws(FileError) -> Int64 {
        var status = statvfs()
        guard fstatvfs(descriptor.withLock { $0 }, &status) == 0 else { throw failure("look up the free space of") }
        return Int64(status.f_bavail) * Int64(status.f_frsize)
    }

    func identity() throws(FileError) -> FileIdentity {
        let status = try status()
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    func birthNanoseconds() -> Int64 { clinux_birth_nanoseconds(descriptor.withLock { $0 }) }

    func tryLock() throws(FileError) -> Bool {
        while true {
            if flock(descriptor.withLock { $0 }, LOCK_EX | LOCK_NB) == 0 { return true }
            if errno == EWOULDBLOCK { return false }
            if errno != EINTR { throw failure("lock") }
        }
    }

    func close() {
        descriptor.withLock {
            if $0 >= 0 { Glibc.close($0) }
            $0 = -1
        }
    }

    private func status() throws(FileError) -> stat {
        var status = stat()
        guard fstat(descriptor.withLock { $0 }, &status) == 0 else { throw failure("look at") }
        return status
    }

    private func failure(_ operation: String) -> FileError {
        FileError(operation: operation, path: path, errno: errno)
    }
}
