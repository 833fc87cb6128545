import EventLog

/// Which backups are kept: all of the last hour, then the last of each hour for a day, of each day for a month, of each
/// week beyond; of these no more than a number and a size allow.
struct BackupThinning: Sendable, Equatable {
    /// The most that are kept; nil: as many as their age allows.
    var most: Int?
    /// The most bytes of all together; nil: any.
    var mostBytes: Int64?

    /// One that stands.
    struct Standing: Sendable, Equatable {
        var name: String
        var time: LogTime
        var sizeBytes: Int64
        /// False where it was found damaged.
        var isGood = true
    }

    /// The names that go, oldest first. `standing`: oldest first. The newest good one never goes.
    func gone(_ standing: [Standing], now: LogTime) -> [String] {
        guard let newestGood = standing.last(where: \.isGood) ?? standing.last else { return [] }
        var seen: Set<String> = []
        var kept: [Standing] = []
        // From the newest on: the last of each hour, day and week is met first.
        for backup in standing.reversed() {
            // A damaged one takes no good one's place.
            let bucket = backup.isGood ? bucket(of: backup, now) : nil
            if backup == newestGood || bucket.map({ seen.insert($0).inserted }) ?? true { kept.append(backup) }
        }
        var bytes: Int64 = 0
        var left: Set<String> = [newestGood.name]
        for (index, backup) in kept.enumerated() {
            bytes += backup.sizeBytes
            guard index < most ?? .max, bytes <= mostBytes ?? .max else { break }
            left.insert(backup.name)
        }
        return standing.map(\.name).filter { !left.contains($0) }
    }

    /// What it shares its place with; nil where it has one of its own.
    private func bucket(of backup: Standing, _ now: LogTime) -> String? {
        let age = now.seconds(since: backup.time)
        let seconds = backup.time.microseconds / 1_000_000
        if age < 3600 { return nil }
        if age < 86_400 { return "hour \(seconds / 3600)" }
        if age < 30 * 86_400 { return "day \(seconds / 86_400)" }
        return "week \(seconds / (7 * 86_400))"
    }
}
