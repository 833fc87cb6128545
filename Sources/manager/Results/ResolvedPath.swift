import EventLog
import Glibc

/// Names files by where they really are, so that links to one file count as one.
enum ResolvedPath {
    /// The path without links, `.` and `..` (realpath). Throws ENOENT where nothing stands there.
    static func of(_ path: String) throws(FileError) -> String {
        guard let resolved = realpath(path, nil) else {
            throw FileError(operation: "look up", path: path, errno: errno)
        }
        defer { free(resolved) }
        return String(cString: resolved)
    }
}
