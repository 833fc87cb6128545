import EventLog

/// The paths in a data directory.
struct DataDirectory: Sendable {
    /// The directory itself.
    let path: String
    /// The disk that it is on.
    let fileSystem: any FileSystem

    /// Names a data directory on the real disk.
    init(_ path: String, on fileSystem: any FileSystem = LocalFileSystem()) {
        self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
        self.fileSystem = fileSystem
    }

    var stateFile: String { path + "/manager_state.json" }
    var journalPath: String { path + "/journal" }
    var journal: JournalDirectory { JournalDirectory(journalPath, on: fileSystem) }
    var lockFile: String { journalPath + "/lock" }
    var outbox: String { path + "/.outbox" }
    var gpuLocks: String { path + "/.gpu_locks" }
}
