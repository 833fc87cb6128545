import Crypto
import EventLog
import Projections

/// Takes a Python manager's state file into an empty journal.
///
/// Order of effects, and what the next start finds if the power goes between them: (1) where the file is the data
/// directory's own, a copy of it, durable: an import that is still due, and a copy that the next one uses; (2) the first
/// segment, whole (`FirstSegment`): the journal, and the old file, which the `imported` note names by its hash;
/// (3) the snapshot over the old file: done.
struct PythonImport {
    let data: DataDirectory

    /// A file that was read and can be imported.
    struct Plan {
        var state: PythonState
        var source: PythonState.Source
        var bytes: [UInt8]
    }

    /// What an import did.
    struct Done {
        var last: LogPosition
        /// Where the old file is kept; nil where it stays as it is.
        var copy: String?
    }

    /// Reads a file's bytes. Nothing is written. Throws a sentence with the task and the field for a broken one.
    func plan(_ bytes: [UInt8], file: String) throws(StartFailure) -> Plan {
        let state: PythonState
        do throws(JSONError) {
            state = try PythonState.read(
                bytes,
                PythonState.Surroundings(dataDirectory: try absolutePath(), localTime: { LocalTimeZone.moment($0) }))
        } catch {
            throw StartFailure(
                "\(file) cannot be imported: \(error). Nothing was written; mend the file, or move it away to start fresh"
            )
        }
        let source = PythonState.Source(
            file: file, bytes: bytes.count, sha256: hexString(SHA256.hash(data: bytes)), zone: LocalTimeZone.name)
        return Plan(state: state, source: source, bytes: bytes)
    }

    private func absolutePath() throws(JSONError) -> String {
        do throws(FileError) { return try canonicalPath(data.path) } catch { return data.path }
    }

    /// Writes the journal. `replacesStateFile`: the file is the data directory's own, which the next snapshot replaces.
    func write(_ plan: Plan, replacesStateFile: Bool, actor: String?) throws(StartFailure) -> Done {
        do throws(JournalError) {
            var copy: String?
            if replacesStateFile {
                do throws(FileError) { copy = try keepCopy(plan.bytes) } catch { throw .file(error) }
            }
            let last = try FirstSegment.write(data.journal, at: LogTime.now()) { write throws(JournalError) in
                try plan.state.commands(plan.source, actor: actor, write)
            }
            return Done(last: last, copy: copy)
        } catch { throw StartFailure(error) }
    }

    /// A copy beside the file: the Python manager, started again by mistake, writes into the file itself.
    private func keepCopy(_ bytes: [UInt8]) throws(FileError) -> String {
        let prefix = "manager_state.json.imported-"
        for name in try data.fileSystem.list(data.path) where name.hasPrefix(prefix) && !name.hasSuffix(".tmp") {
            let path = data.path + "/" + name
            guard try data.fileSystem.metadata(path)?.sizeBytes == Int64(bytes.count) else { continue }
            if try readWholeFile(path, on: data.fileSystem) == bytes { return path }
        }
        let path = data.path + "/" + prefix + FileStamp.now()
        var file = try AtomicFile(path, on: data.fileSystem)
        do throws(FileError) {
            try file.append(bytes)
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
        return path
    }

    /// Whether the journal came from exactly these bytes: a start that ended between the journal and the snapshot.
    func isImported(_ bytes: [UInt8]) throws(JournalError) -> Bool {
        let wanted = Array(hexString(SHA256.hash(data: bytes)).utf8)
        var found = false
        guard try data.journal.segments().first?.first == LogPosition(1) else { return false }
        try LogReader(data.journal).forEach { line throws(JournalError) in
            do throws(EventError) {
                let event = try EventView(line)
                found = event.type.elementsEqual("imported".utf8) && event.sha256.elementsEqual(wanted)
            } catch { found = false }
            return false
        }
        return found
    }
}

extension PythonImport.Plan {
    /// `240 tasks: 60 complete, 3 assigned, 170 pending, 7 failed`.
    var summary: String {
        let parts = [TaskStatus.complete, .assigned, .pending, .failed].map { "\(state.count($0)) \($0.word)" }
        return "\(state.tasks.count) \(state.tasks.count == 1 ? "task" : "tasks"): \(parts.joined(separator: ", "))"
    }
}

/// The moment in a file's name: digits, `T` and `Z` of the written form.
enum FileStamp {
    /// Now, to the microsecond: `20261103T140500123456Z`.
    static func now() -> String { LogTime.now().description.filter { $0.isNumber || $0 == "T" || $0 == "Z" } }
}
