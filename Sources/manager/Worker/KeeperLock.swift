import EventLog
import Glibc

/// The lock on a keeper's order: held by the keeper while it lives.
final class KeeperLock: Sendable {
    private let descriptor: Int32
    private let path: String

    /// What was found at an order's path.
    enum Finding {
        /// Nobody held it; it is ours now.
        case free(KeeperLock)
        /// Its keeper lives; `waitUntilFree` waits for its end.
        case held(KeeperLock)
        /// There is no such file (any more).
        case gone
    }

    private init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    /// Tries to take the lock of the order at `path`. Throws where the file cannot be opened or locked.
    static func look(_ path: String) throws(FileError) -> Finding {
        let descriptor = open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return .gone }
            throw FileError(operation: "open", path: path, errno: errno)
        }
        let lock = KeeperLock(descriptor, path)
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return .held(lock) }
            guard errno == EINTR else { throw FileError(operation: "lock", path: path, errno: errno) }
        }
        // Whoever had it before may have removed the file meanwhile: then what we hold is nobody's order.
        return lock.isInPlace ? .free(lock) : .gone
    }

    private var isInPlace: Bool {
        var own = stat()
        var named = stat()
        return fstat(descriptor, &own) == 0 && stat(path, &named) == 0 && own.st_ino == named.st_ino
            && own.st_dev == named.st_dev
    }

    /// Blocks until the keeper has ended, however it did. For a thread of its own.
    func waitUntilFree() {
        while flock(descriptor, LOCK_SH) != 0 && errno == EINTR {}
    }
}
