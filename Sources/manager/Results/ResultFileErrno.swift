import EventLog
import Glibc

/// The system's error numbers that writing result files turns on.
enum ResultFileErrno {
    /// The name stands already.
    static let exists = EEXIST
    /// Nothing has the name.
    static let notFound = ENOENT
    /// Others change the file all the time.
    static let busy = EBUSY

    /// True when the file system has no hard links (FAT, some mounts), or no more for this file.
    static func isLinkUnsupported(_ error: FileError) -> Bool {
        [EPERM, EOPNOTSUPP, ENOSYS, EMLINK].contains(error.errno)
    }
}
