import EventLog
import Projections

/// One file in `backups/`, by its name: `manager_state-<seq, 20 digits>-<YYYYMMDDTHHMMSSZ>.json.gz`.
struct BackupFile: Sendable, Equatable {
    /// The file's name.
    let name: String
    /// The last event in it, as the name says.
    let position: LogPosition
    /// When it was written, as the name says.
    let time: LogTime

    /// Reads a name; nil for any other file.
    init?(_ name: String) {
        let bytes = Array(name.utf8)
        guard bytes.count == 59, name.hasPrefix("manager_state-"), name.hasSuffix(".json.gz"), bytes[34] == 45,
            let seq = UInt64(String(decoding: bytes[14..<34], as: UTF8.self)), bytes[50] == 90
        else { return nil }
        func part(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        let written =
            "\(part(35..<39))-\(part(39..<41))-\(part(41..<43))T\(part(44..<46)):\(part(46..<48)):\(part(48..<50))"
        guard let time = WallTime.isoFormat(written)?.time.inUTC else { return nil }
        self.name = name
        self.position = LogPosition(seq)
        self.time = time
    }

    /// The name of a backup that is written now.
    static func name(_ position: LogPosition, _ time: LogTime) -> String {
        let digits = String(position.rawValue)
        let stamp = time.description.prefix(19).filter { $0 != "-" && $0 != ":" }
        return "manager_state-" + String(repeating: "0", count: 20 - digits.count) + digits + "-\(stamp)Z.json.gz"
    }

    /// The directory of all.
    static func directory(_ data: DataDirectory) -> String { data.path + "/backups" }

    /// Where it stands.
    func path(_ data: DataDirectory) -> String { Self.directory(data) + "/" + name }

    /// All that stand, oldest first.
    static func all(_ data: DataDirectory) throws(FileError) -> [BackupFile] {
        guard try data.fileSystem.metadata(directory(data)) != nil else { return [] }
        return try data.fileSystem.list(directory(data)).compactMap(BackupFile.init).sorted {
            ($0.position, $0.time) < ($1.position, $1.time)
        }
    }
}
