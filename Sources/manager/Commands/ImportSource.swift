import EventLog
import Projections

/// What `import` is given.
enum ImportSource {
    /// A Python manager's state file.
    case python([UInt8])
    /// A state of this program's: a data directory, a state file or a backup.
    case state(ManagerState, kind: String)
    /// Task objects, one a line.
    case tasks([TaskSpec])

    /// Looks at what a path names. Throws a sentence where it is none of these, or is the data directory itself.
    init(_ path: String, _ data: DataDirectory) throws {
        guard let metadata = try data.fileSystem.metadata(path) else {
            throw VerbFailure("there is no file or directory \(path)", status: 1)
        }
        if metadata.isDirectory {
            self = .state(try Self.directory(path, data), kind: "directory")
            return
        }
        var bytes: [UInt8] = []
        if path.hasSuffix(".gz") {
            try GzipFile.read(path, on: data.fileSystem) { bytes += $0 }
        } else {
            bytes = try readWholeFile(path, on: data.fileSystem)
        }
        if let specs = try Self.lines(bytes, path) {
            self = .tasks(specs)
        } else if StateDecoder.isOwn(bytes) {
            do throws(SnapshotProblem) {
                self = .state(try StateDecoder.state(bytes, ofOlderFolds: true), kind: "state")
            } catch {
                throw VerbFailure("\(path) cannot be imported: \(error)", status: 2)
            }
        } else {
            self = .python(bytes)
        }
    }

    private static func directory(_ path: String, _ data: DataDirectory) throws -> ManagerState {
        let other = DataDirectory(path, on: data.fileSystem)
        if let own = try data.fileSystem.metadata(data.path),
            try data.fileSystem.metadata(path)?.identity == own.identity
        {
            throw VerbFailure("\(path) is the data directory itself: name another one", status: 1)
        }
        guard try !other.journal.segments().isEmpty else {
            throw VerbFailure(
                "\(path) has no journal: name a manager's data directory, or the state file in it", status: 1)
        }
        return try MomentReader(other).state(at: .now).state
    }

    /// The tasks of JSON lines; nil where the first line is no task object.
    private static func lines(_ bytes: [UInt8], _ path: String) throws -> [TaskSpec]? {
        let lines = bytes.split(separator: 10).filter { !$0.allSatisfy { $0 == 32 || $0 == 13 || $0 == 9 } }
        guard let first = lines.first, isTask(Array(first)) else { return nil }
        var specs: [TaskSpec] = []
        for (index, line) in lines.enumerated() {
            do throws(JSONError) { specs += try TaskRequest.specs(Array(line)) } catch {
                throw VerbFailure("\(path), line \(index + 1): \(error). Nothing was imported", status: 1)
            }
        }
        return specs
    }

    private static func isTask(_ line: [UInt8]) -> Bool {
        line.withUnsafeBufferPointer { buffer in
            var found = false
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    if key == "task_id" { found = true }
                    try reader.skip()
                }
                try reader.finish()
                return found
            } catch { return false }
        }
    }

    /// The tasks with the events that bring them, and the note that stands before them.
    func items(_ file: String, _ data: DataDirectory) throws -> (items: [ImportRun.Item], note: Event) {
        switch self {
        case .python(let bytes):
            let plan = try PythonImport(data: data).plan(bytes, file: file)
            return (plan.state.tasks.map { ImportRun.Item($0) }, plan.state.note(plan.source))
        case .state(let state, let kind):
            let items = (0..<state.taskCount).map { ImportRun.Item(state, $0) }
            return (items, TransferNote.imported(state, from: file, kind: kind, tasks: items.count))
        case .tasks(let specs):
            return (
                specs.map { ImportRun.Item($0) },
                TransferNote.imported(nil, from: file, kind: "tasks", tasks: specs.count)
            )
        }
    }
}
