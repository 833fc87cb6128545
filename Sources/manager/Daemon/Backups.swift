import EventLog
import Projections

/// Copies of the state in `backups/`, gzip, named by seq and time, thinned with their age.
///
/// Order of effects: the state's last event is durable and its rows are written; then the copy under a temporary name,
/// synced, read back, its checksum compared, renamed, the directory synced; then that it was verified is noted; only then
/// are those removed that have had their time. Power lost between: one backup more than wanted, one that counts as never
/// verified, or a `.tmp` that the next start removes.
struct Backups: Sendable {
    private let data: DataDirectory
    private let thinning: BackupThinning

    init(_ data: DataDirectory, thinning: BackupThinning) {
        self.data = data
        self.thinning = thinning
    }

    /// Writes a copy unless a good one of this position stands. Returns the name; nil where one stood. Removes nothing.
    @discardableResult
    func write(_ state: ManagerState, paced: Bool = true) throws -> String? {
        guard state.position > .zero else { return nil }
        let directory = BackupFile.directory(data)
        try data.fileSystem.createDirectories(directory)
        for standing in try BackupFile.all(data) where standing.position == state.position {
            if try BackupList.problem(standing, data) == nil { return nil }
        }
        let now = LogTime.now()
        let name = BackupFile.name(state.position, now)
        try StateArchive.write(state, to: "\(directory)/\(name)", on: data.fileSystem, paced: paced)
        var checks = try BackupChecks(data)
        try checks.note(name, isGood: true, at: now, data)
        return name
    }

    /// Removes those that have had their time, oldest first; never the newest good one.
    func thin(now: LogTime = LogTime.now()) throws {
        let checks = try BackupChecks(data).all
        var standing: [BackupThinning.Standing] = []
        let files = try BackupFile.all(data)
        for file in files {
            guard let metadata = try data.fileSystem.metadata(file.path(data)) else { continue }
            standing.append(
                BackupThinning.Standing(
                    name: file.name, time: file.time, sizeBytes: metadata.sizeBytes,
                    isGood: checks[file.name]?.isGood ?? true))
        }
        let gone = Set(thinning.gone(standing, now: now))
        for file in files where gone.contains(file.name) { try data.fileSystem.remove(file.path(data)) }
        if !gone.isEmpty { try data.fileSystem.syncDirectory(BackupFile.directory(data)) }
    }

    /// Reads the backup again whose last check is the longest ago, and notes what was found. A sentence where it is
    /// damaged; nil where it is good, or none is due: each is read once in `every` seconds.
    func verifyOne(every seconds: Double = 86_400, now: LogTime = LogTime.now()) throws -> String? {
        var checks = try BackupChecks(data)
        let oldest = try BackupFile.all(data).min { left, right in
            (checks.all[left.name]?.time.microseconds ?? .min) < (checks.all[right.name]?.time.microseconds ?? .min)
        }
        guard let oldest, checks.all[oldest.name].map({ now.seconds(since: $0.time) >= seconds }) ?? true else {
            return nil
        }
        let problem = try BackupList.problem(oldest, data)
        try checks.note(oldest.name, isGood: problem == nil, at: now, data)
        return problem.map { "backups/\(oldest.name) is damaged: \($0). It counts for nothing; look at the disk" }
    }
}
