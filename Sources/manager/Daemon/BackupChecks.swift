import EventLog
import Projections

/// When each backup was last read and found good or damaged: `backups/verified.json`. It may be deleted at any time.
///
/// Order of effects: a backup first, then what is known of it. Power lost between: one that counts as never verified.
struct BackupChecks: Sendable, Equatable {
    /// One check.
    struct Check: Sendable, Equatable {
        var time: LogTime
        var isGood: Bool
    }

    /// By the backup's name.
    private(set) var all: [String: Check] = [:]

    private static func path(_ data: DataDirectory) -> String { BackupFile.directory(data) + "/verified.json" }

    init() {}

    /// Reads what is there; nothing where the file is missing or broken.
    init(_ data: DataDirectory) throws(FileError) {
        guard try data.fileSystem.metadata(Self.path(data)) != nil else { return }
        let bytes = try readWholeFile(Self.path(data), on: data.fileSystem)
        var found: [String: Check] = [:]
        bytes.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                try reader.object { name, reader throws(JSONError) in
                    var (time, isGood): (LogTime?, Bool) = (nil, false)
                    try reader.object { key, reader throws(JSONError) in
                        switch key {
                        case "verified": time = WallTime.isoFormat(String(try reader.string().dropLast()))?.time.inUTC
                        case "ok": isGood = try reader.bool()
                        default: try reader.skip()
                        }
                    }
                    if let time { found[name] = Check(time: time, isGood: isGood) }
                }
            } catch { found = [:] }
        }
        all = found
    }

    /// Notes a check, forgets backups that are gone, and writes the file.
    mutating func note(_ name: String, isGood: Bool, at time: LogTime, _ data: DataDirectory) throws(FileError) {
        all[name] = Check(time: time, isGood: isGood)
        let standing = Set(try BackupFile.all(data).map(\.name))
        all = all.filter { standing.contains($0.key) }
        var out: [UInt8] = [123]
        for (index, entry) in all.sorted(by: { $0.key < $1.key }).enumerated() {
            if index > 0 { out.append(44) }
            appendJSONString(entry.key, to: &out)
            out += Array(":{\"verified\":\"\(entry.value.time)\",\"ok\":\(entry.value.isGood)}".utf8)
        }
        var file = try AtomicFile(Self.path(data), on: data.fileSystem)
        do throws(FileError) {
            try file.append(out + [125, 10])
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
    }
}
