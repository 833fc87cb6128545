import EventLog
import Projections

/// Rotating copies of the state in `backups/`, gzip, named by seq and time.
///
/// Order of effects: the state's last event is durable and its rows are written; then the copy under a temporary name,
/// synced, renamed; only then are the oldest beyond the number to keep removed.
struct Backups: Sendable {
    private let data: DataDirectory
    private let keep: Int
    private var directory: String { data.path + "/backups" }

    init(_ data: DataDirectory, keep: Int) {
        self.data = data
        self.keep = keep
    }

    /// Writes a copy unless one of this position stands, and removes the oldest.
    func write(_ state: ManagerState) throws {
        try data.fileSystem.createDirectories(directory)
        let digits = String(state.position.rawValue)
        let name = "manager_state-" + String(repeating: "0", count: 20 - digits.count) + digits
        let names = try data.fileSystem.list(directory).filter {
            $0.hasPrefix("manager_state-") && $0.hasSuffix(".json.gz")
        }
        if names.contains(where: { $0.hasPrefix(name) }) { return }
        let stamp = LogTime.now().description.prefix(19).filter { $0 != "-" && $0 != ":" }
        var file = try AtomicFile(
            "\(directory)/\(name)-\(stamp)Z.json.gz", on: data.fileSystem, pause: { pausePacedWriting() })
        var pending: [UInt8] = []
        try StateEncoder.write(state) { piece in
            pending += piece
            if pending.count >= 1 << 20 {
                try file.append(gzipMember(pending))
                pending.removeAll(keepingCapacity: true)
            }
        }
        if !pending.isEmpty { try file.append(gzipMember(pending)) }
        try file.commit()
        for old in names.sorted().dropLast(keep - 1) { try data.fileSystem.remove(directory + "/" + old) }
        try data.fileSystem.syncDirectory(directory)
    }
}
