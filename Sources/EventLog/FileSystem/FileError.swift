import Glibc

/// A call on the disk that failed: which, on what, with which errno.
public struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried, as a verb: `open`, `write`, `sync` …
    public let operation: String
    /// The file or directory that it was tried on.
    public let path: String
    /// The system's error number, such as ENOSPC.
    public let errno: Int32

    /// Makes an error; `errno` is the system's number.
    public init(operation: String, path: String, errno: Int32) {
        self.operation = operation
        self.path = path
        self.errno = errno
    }

    /// True when there was nothing at the path.
    public var isNotFound: Bool { errno == ENOENT }

    /// True when the disk or a quota is full.
    public var isDiskFull: Bool { errno == ENOSPC || errno == EDQUOT }

    /// One sentence: what failed, where and why.
    public var description: String {
        "cannot \(operation) \(path): \(String(cString: strerror(errno)))"
    }
}
