import EventLog
import Glibc
import Projections

/// Sets a data directory's old data aside in `archive-<time>/`, so that the next start is a fresh one. Deletes nothing.
///
/// What goes: the state file and the copies of it, backups, checkpoints, the manager's own result files with their logs
/// (rows left in place would complete a fresh sweep's tasks), outcomes in `.outbox/` that nobody has taken yet, and the
/// journal. What stays: everything else in the output directories, sweep files, records of running programs (so that the
/// next `run` ends them), files named by `--results`.
///
/// The lock is held. Order of effects: (1) the archive's directories; (2) everything but the journal, renamed; (3) the
/// directories of both sides, synced, for the state file before anything else is moved; (4) the journal's directory, renamed as one, lock included; (5) both sides synced.
/// What the next start finds when it ends before (4): the whole journal, which rebuilds the state and writes every row
/// anew, as no snapshot is there; after (4): nothing. Never a journal's part, never a snapshot or backup without it.
struct Reset {
    let data: DataDirectory
    let keepsResults: Bool
    private static let stateFile = "manager_state.json"

    /// What will be moved.
    struct Plan {
        /// Paths in the data directory, in order; the journal is not among them.
        var paths: [String] = []
        /// Whether there is a journal to move.
        var hasJournal = false
        /// The state as far as it can be read, for the question; nil where it cannot.
        var state: ManagerState?

        /// True where there is nothing to set aside.
        var isEmpty: Bool { paths.isEmpty && !hasJournal }
    }

    /// What was done.
    struct Done {
        /// The archive's name in the data directory.
        var archive: String
        /// What was moved into it.
        var moved: [String]
        /// Files on another disk, which got another name in their directory.
        var renamed: [String]
    }

    /// Finds what is there. Reads only; a damaged journal is no obstacle.
    func plan() throws -> Plan {
        var plan = Plan()
        guard try isDirectory("") else { return plan }
        let copies = ["manager_state.json.rejected-", "manager_state.json.imported-"]
        for name in try list("") where name == "manager_state.json" || copies.contains(where: { name.hasPrefix($0) }) {
            plan.paths.append(name)
        }
        for name in ["backups", "checkpoints"] where try isDirectory(name) { plan.paths.append(name) }
        do { plan.state = try MomentReader(data).state(at: .now).state } catch { plan.state = nil }
        if !keepsResults { plan.paths += try results(plan.state) }
        for name in try list(".outbox") where name.hasSuffix(Outbox.Suffix.outcome.rawValue) {
            plan.paths.append(".outbox/" + name)
        }
        plan.hasJournal = try list("journal").contains { $0 != "lock" }
        return plan
    }

    /// Result files and logs: of the tasks' directories, where the state can be read, and of `results_*`.
    private func results(_ state: ManagerState?) throws -> [String] {
        var directories = Set(state?.outputDirectories ?? [])
        for name in try list("") where name.hasPrefix("results_") { directories.insert(name) }
        var found: [String] = []
        for directory in [""] + directories.sorted() where try isDirectory(directory) {
            let prefix = directory.isEmpty ? "" : directory + "/"
            for name in try list(directory) {
                let isRows = name == ResultFiles.fileName || name.hasPrefix(ResultFiles.fileName + ".previous")
                if isRows || (name == "logs" && !directory.isEmpty) { found.append(prefix + name) }
            }
        }
        return found
    }

    private func place(_ path: String) -> String { path.isEmpty ? data.path : data.path + "/" + path }

    private func isDirectory(_ path: String) throws(FileError) -> Bool {
        try data.fileSystem.metadata(place(path))?.isDirectory == true
    }

    private func list(_ path: String) throws(FileError) -> [String] {
        try isDirectory(path) ? try data.fileSystem.list(place(path)) : []
    }

    /// Moves what was found.
    func run(_ plan: Plan) throws(FileError) -> Done {
        let archive = "archive-" + FileStamp.now()
        var done = Done(archive: archive, moved: [], renamed: [])
        var touched: [String] = []
        try data.fileSystem.createDirectories(place(archive))
        for path in plan.paths {
            let target = archive + "/" + path
            let parent = parentDirectory(of: target)
            try data.fileSystem.createDirectories(place(parent))
            do throws(FileError) {
                try data.fileSystem.rename(place(path), to: place(target))
                done.moved.append(path)
                touched.append(place(parent))
                if path == Self.stateFile {
                    // A snapshot says that all rows up to it are written: it must be gone for certain before they are.
                    try data.fileSystem.syncDirectory(place(parent))
                    try data.fileSystem.syncDirectory(data.path)
                }
            } catch {
                // An output directory may be a link to another disk.
                guard error.errno == EXDEV else { throw error }
                try data.fileSystem.rename(place(path), to: place(path) + "." + archive)
                done.renamed.append(path + "." + archive)
            }
            touched.append(parentDirectory(of: place(path)))
        }
        // The new names before the old ones' absence: a file is never without a name.
        for directory in touched.sorted(by: { $0.contains("/archive-") && !$1.contains("/archive-") }) {
            try data.fileSystem.syncDirectory(directory)
        }
        if plan.hasJournal {
            try data.fileSystem.rename(data.journalPath, to: place(archive + "/journal"))
            done.moved.append("journal")
            try data.fileSystem.syncDirectory(place(archive))
        }
        try data.fileSystem.syncDirectory(data.path)
        return done
    }
}
