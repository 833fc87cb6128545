import Crypto
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
        var file = try AtomicFile(
            "\(directory)/\(name)", on: data.fileSystem, pause: paced ? { pausePacedWriting() } : nil)
        do {
            let written = try Self.fill(&file, state)
            try file.finishTemporary()
            try compare(file.temporaryPath, with: written)
            try file.publish()
        } catch {
            file.abandon()
            throw error
        }
        let gone = standing.dropLast(keep - 1)
        for old in gone { try data.fileSystem.remove(old.path(data)) }
        if !gone.isEmpty { try data.fileSystem.syncDirectory(directory) }
        return name
    }

    /// Writes the state as gzip members of 1 MiB; the hash of the bytes before they were compressed.
    private static func fill(_ file: inout AtomicFile, _ state: ManagerState) throws -> SHA256.Digest {
        var hash = SHA256()
        var pending: [UInt8] = []
        var pieces = file
        try StateEncoder.write(state) { piece in
            hash.update(data: piece)
            pending += piece
            if pending.count >= 1 << 20 {
                try pieces.append(gzipMember(pending))
                pending.removeAll(keepingCapacity: true)
            }
        }
        if !pending.isEmpty { try pieces.append(gzipMember(pending)) }
        file = pieces
        return hash.finalize()
    }

    /// Reads back what the disk has.
    private func compare(_ path: String, with written: SHA256.Digest) throws {
        var hash = SHA256()
        try GzipFile.read(path, on: data.fileSystem) { hash.update(data: $0) }
        guard hash.finalize() == written else { throw BackupProblem.differs(path) }
    }

    /// A backup that was read back and is not what was written.
    enum BackupProblem: Error, CustomStringConvertible {
        case differs(String)

        /// The text for people.
        var description: String {
            switch self {
            case .differs(let path): "\(path) was read back and is not what was written: look at the disk"
            }
        }
    }
}
