import EventLog
import Projections

/// Rotating copies of the state in `backups/`, gzip, named by seq and time.
///
/// Order of effects: the state's last event is durable and its rows are written; then the copy under a temporary name,
/// synced, read back, its checksum compared, renamed, the directory synced; only then are the oldest beyond the number to
/// keep removed. Power lost between: one backup more than wanted, or a `.tmp` that the next start removes.
struct Backups: Sendable {
    private let data: DataDirectory
    private let keep: Int

    init(_ data: DataDirectory, keep: Int) {
        self.data = data
        self.keep = keep
    }

    /// Writes a copy unless one of this position stands, and removes the oldest. Returns the name; nil where one stood.
    @discardableResult
    func write(_ state: ManagerState, paced: Bool = true) throws -> String? {
        guard state.position > .zero else { return nil }
        let directory = BackupFile.directory(data)
        try data.fileSystem.createDirectories(directory)
        let standing = try BackupFile.all(data)
        if standing.contains(where: { $0.position == state.position }) { return nil }
        let name = BackupFile.name(state.position, LogTime.now())
        try StateArchive.write(state, to: "\(directory)/\(name)", on: data.fileSystem, paced: paced)
        let gone = standing.dropLast(keep - 1)
        for old in gone { try data.fileSystem.remove(old.path(data)) }
        if !gone.isEmpty { try data.fileSystem.syncDirectory(directory) }
        return name
    }
}
