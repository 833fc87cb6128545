import EventLog
import Projections

/// What stands in `backups/`, each file read and its checksum compared.
struct BackupList {
    /// One backup.
    struct Entry {
        var file: BackupFile
        var sizeBytes: Int64
        /// Why it cannot be used; nil where it can.
        var problem: String?
        /// When a manager last read it, by what it noted; nil: never.
        var verified: LogTime?
    }

    /// Oldest first.
    let entries: [Entry]

    /// Reads all that stand. A file that goes meanwhile is left out.
    init(_ data: DataDirectory) throws {
        var entries: [Entry] = []
        let checks = try BackupChecks(data).all
        for file in try BackupFile.all(data) {
            guard let metadata = try data.fileSystem.metadata(file.path(data)) else { continue }
            let problem: String?
            do throws(JournalError) { problem = try Self.problem(file, data) } catch {
                if case .file(let failure) = error, failure.isNotFound { continue }
                problem = error.description
            }
            entries.append(
                Entry(
                    file: file, sizeBytes: metadata.sizeBytes, problem: problem,
                    verified: checks[file.name]?.time))
        }
        self.entries = entries
    }

    /// Why a backup cannot be used, by its checksum, its state's hash and its name; nil where it can.
    static func problem(_ file: BackupFile, _ data: DataDirectory) throws(JournalError) -> String? {
        var bytes: [UInt8] = []
        do throws(JournalError) { try GzipFile.read(file.path(data), on: data.fileSystem) { bytes += $0 } } catch {
            guard case .damage(let damage) = error else { throw error }
            return damage.detail
        }
        if let problem = StateDecoder.checksumProblem(bytes) { return problem.description }
        if let hashes = StateDecoder.stateHashes(bytes), hashes.stated != hashes.found {
            return "its state has another hash than it names"
        }
        let stated = StateDecoder.statedPosition(bytes)
        return stated == file.position ? nil : "it holds seq \(stated.map { "\($0)" } ?? "?"), its name says another"
    }

    /// `[{"file","seq","time","bytes","ok","verified"}]`, without a newline.
    var json: [UInt8] {
        var out: [UInt8] = [91]
        for (index, entry) in entries.enumerated() {
            if index > 0 { out.append(44) }
            out += Array("{\"file\":".utf8)
            appendJSONString(entry.file.name, to: &out)
            out += Array(
                ",\"seq\":\(entry.file.position),\"time\":\"\(entry.file.time)\",\"bytes\":\(entry.sizeBytes),\"ok\":\(entry.problem == nil),\"verified\":"
                    .utf8)
            out += Array((entry.verified.map { "\"\($0)\"}" } ?? "null}").utf8)
        }
        out.append(93)
        return out
    }

    /// A table for people.
    var table: String {
        if entries.isEmpty { return "There are no backups yet\n" }
        func right(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        var text =
            "file" + right("seq", 67) + "  time                 " + right("bytes", 12)
            + "  verified              state\n"
        for entry in entries {
            let time = String(entry.file.time.description.prefix(19)) + "Z"
            text +=
                entry.file.name + right("\(entry.file.position)", 12) + "  \(time) " + right("\(entry.sizeBytes)", 12)
            text += "  " + (entry.verified.map { String($0.description.prefix(19)) + "Z" } ?? "never               ")
            text += "  " + (entry.problem.map { "damaged: \($0)" } ?? "good") + "\n"
        }
        return text
    }
}
