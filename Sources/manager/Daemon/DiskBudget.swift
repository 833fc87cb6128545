import EventLog

/// How much of the disk the journal may take and how long history is kept, and what is done where that is exceeded.
struct DiskBudget: Sendable, Equatable {
    /// What is done.
    enum Action: Sendable, Equatable {
        /// A warning.
        case warn
        /// The oldest segments are moved to a directory.
        case archive(String)
        /// The oldest segments are dropped.
        case discard

        /// Reads `warn`, `discard` or `archive=DIR`; nil for anything else.
        init?(_ text: String) {
            switch text {
            case "warn": self = .warn
            case "discard": self = .discard
            default:
                guard text.hasPrefix("archive="), text.count > 8 else { return nil }
                self = .archive(String(text.dropFirst(8)))
            }
        }
    }

    /// The most bytes of the journal's segments; nil: any.
    var mostBytes: Int64?
    /// How long history is kept, in seconds; nil: for ever.
    var keepSeconds: Double?
    var action = Action.warn

    /// What is exceeded.
    struct Excess: Sendable, Equatable {
        /// Up to where the oldest segments are to go.
        var upTo: LogPosition
        /// The bytes of the files that would go.
        var bytes: Int64
        /// True where there are more bytes than are allowed; false where history is only old.
        var isTooMuch = true
        /// A sentence.
        var words: String
    }

    /// Looks at the journal's files; nil where all is within the budget, or only the newest segment is left.
    func excess(_ data: DataDirectory, now: LogTime) throws -> Excess? {
        let names = try data.journal.segments()
        guard names.count > 1, let first = names.first else { return nil }
        let sizes = try names.map { try data.fileSystem.metadata(data.journal.path(of: $0))?.sizeBytes ?? 0 }
        func excess(upTo end: LogPosition, isTooMuch: Bool = true, _ words: String) -> Excess {
            let bytes = zip(names, sizes).reduce(0) { $1.0.first <= end ? $0 + $1.1 : $0 }
            return Excess(upTo: end, bytes: bytes, isTooMuch: isTooMuch, words: words)
        }
        var old: Excess?
        if let keepSeconds {
            let time = now.advanced(bySeconds: -keepSeconds)
            let position = try data.journal.lastPosition(notAfter: time)
            // Whole files: one that holds younger events, too, stays.
            if let end = names.dropFirst().map(\.first.previous).last(where: { $0 <= position }), end >= first.first {
                old = excess(
                    upTo: end, isTooMuch: false, "history goes back further than --keep, to before \(time)")
            }
        }
        guard let mostBytes else { return old }
        let all = sizes.reduce(0, +)
        guard all > mostBytes else { return old }
        // Each discarding leaves a baseline for good: room is made for a while, so that they are few.
        var (left, end) = (all, first.first.previous)
        for (index, name) in names.enumerated().dropFirst() where left > mostBytes / 2 {
            left -= sizes[index - 1]
            end = name.first.previous
        }
        return excess(
            upTo: max(end, old?.upTo ?? .zero), "the segments have \(all) bytes, --journal-bytes allows \(mostBytes)")
    }

    /// The discarding that brings the journal within the budget; nil where a warning is all that is wanted.
    func discarding(_ excess: Excess, _ data: DataDirectory) -> Discarding? {
        switch action {
        case .warn: nil
        case .archive(let path): Discarding(data: data, upTo: excess.upTo, archive: path)
        case .discard: Discarding(data: data, upTo: excess.upTo, archive: nil)
        }
    }
}

/// What a data directory takes of the disk, and how long it will last.
struct DiskUse: Sendable, Equatable {
    var journalBytes: Int64 = 0
    var backupBytes: Int64 = 0
    var checkpointBytes: Int64 = 0
    var freeBytes: Int64 = 0
    /// What the journal grew a day, as far as its files tell; nil where they cover less than a minute.
    var bytesPerDay: Double?

    /// Looks at the files. `last`: the time of the last event.
    init(_ data: DataDirectory, last: LogTime?) throws {
        func bytes(_ directory: String) throws -> Int64 {
            guard try data.fileSystem.metadata(directory) != nil else { return 0 }
            return try data.fileSystem.list(directory).reduce(0) {
                $0 + (try data.fileSystem.metadata(directory + "/" + $1)?.sizeBytes ?? 0)
            }
        }
        journalBytes = try bytes(data.journalPath)
        backupBytes = try bytes(BackupFile.directory(data))
        checkpointBytes = try bytes(data.checkpoints)
        freeBytes = try data.fileSystem.freeBytes(data.path)
        var first: LogTime?
        try LogReader(data.journal).forEach { line throws(JournalError) in
            first = line.time
            return false
        }
        guard let first, let last, case let seconds = last.seconds(since: first), seconds >= 60 else { return }
        bytesPerDay = Double(journalBytes) / seconds * 86_400
    }

    /// Days until the disk is full, if it goes on like this; nil where that cannot be told.
    var daysLeft: Double? { bytesPerDay.flatMap { $0 > 0 ? Double(freeBytes) / $0 : nil } }

    /// `{"journal_bytes","backup_bytes","checkpoint_bytes","free_bytes","journal_bytes_per_day","days_left"}`.
    var json: [UInt8] {
        func number(_ value: Double?) -> String { value.map { "\(Int64(min($0, 1e15)))" } ?? "null" }
        return Array(
            ("{\"journal_bytes\":\(journalBytes),\"backup_bytes\":\(backupBytes),\"checkpoint_bytes\":\(checkpointBytes),"
                + "\"free_bytes\":\(freeBytes),\"journal_bytes_per_day\":\(number(bytesPerDay)),"
                + "\"days_left\":\(number(daysLeft))}").utf8)
    }

    /// A line for people.
    var text: String {
        func size(_ bytes: Double) -> String {
            let units = ["B", "KiB", "MiB", "GiB", "TiB"]
            var (value, unit) = (bytes, 0)
            while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
            return unit == 0
                ? "\(Int(value)) B"
                : "\(Int64((value * 10).rounded()) / 10).\(Int64((value * 10).rounded()) % 10) \(units[unit])"
        }
        var line =
            "journal \(size(Double(journalBytes))), backups \(size(Double(backupBytes))), \(size(Double(freeBytes))) free"
        if let bytesPerDay { line += "; the journal grows \(size(bytesPerDay)) a day" }
        if let daysLeft { line += daysLeft > 3650 ? ", enough for years" : ", enough for \(Int(daysLeft)) days" }
        return line + "\n"
    }
}
