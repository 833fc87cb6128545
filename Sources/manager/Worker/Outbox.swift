import EventLog
import Glibc

/// What a worker keeps on disk so that neither a running program nor an outcome is lost sight of: `.outbox/`.
///
/// Files, each named by task and attempt (an attempt never comes twice):
/// `NAME.config.json` for the program, `NAME.result.json` from it, `NAME.running.json` while it runs,
/// `NAME.outcome.json` from its end to the manager's durable answer.
///
/// Order of effects of one attempt, each durable before the next begins, and what the next start finds if power or
/// the process is lost after it:
/// 1. the config file: a file that belongs to nothing; removed.
/// 2. the process, with `MANAGER_OUTBOX` = this directory in its environment: `recover` finds it by that; ended.
/// 3. the record of the running child: `recover` finds the process by pid and start time, too; ended. That the
///    result file may hold a result already counts for nothing: nobody saw the end.
/// 4. the outcome: delivered. The running record may still be there; its process has ended.
/// 5. the records of 1 to 3 removed. (Not synced: what comes back of them is removed by the next start.)
/// 6. the outcome delivered: the manager has it, so the next start delivers it again and is told `duplicate`.
/// 7. the outcome removed: nothing is left.
///
/// One process uses an outbox at a time: for `manager run` the one that holds the journal's lock. All calls block.
struct Outbox: Sendable {
    /// Where the files of one attempt are.
    struct RunFiles: Sendable, Equatable {
        /// The config, for the program to read.
        let config: String
        /// The result, for the program to write.
        let result: String
        /// How far it is, for the program to write.
        let progress: String
    }

    /// The directory's absolute path, without links: the mark that its programs carry.
    let directory: String
    /// The processes of this machine.
    let processes: ProcessTable
    /// This start of this machine.
    let bootID: String
    /// The door to the disk.
    let fileSystem: any FileSystem

    /// The kinds of files, as they end.
    enum Suffix: String, CaseIterable, Sendable {
        /// For the program to read.
        case config = ".config.json"
        /// For the program to write.
        case result = ".result.json"
        /// While the program runs.
        case running = ".running.json"
        /// From the end to the manager's answer.
        case outcome = ".outcome.json"
        /// What a keeper is to run; locked by it while it lives.
        case order = ".order.json"
        /// Which process the keeper is.
        case keeper = ".keeper.json"
        /// How far the program says it is.
        case progress = ".progress"
    }

    /// The longest result file that is read; the result itself is bounded without its white space.
    static let maximumResultFileBytes: Int64 = 4 << 20

    /// Opens the outbox, making its directory where it is missing. Throws where it cannot, or without /proc.
    init(_ directory: String, on fileSystem: any FileSystem, processes: ProcessTable = ProcessTable()) throws(FileError)
    {
        try fileSystem.createDirectories(directory)
        self.directory = try fileSystem.resolve(directory)
        try fileSystem.syncPlace(of: self.directory)
        self.fileSystem = fileSystem
        self.processes = processes
        bootID = try processes.bootID()
    }

    /// The path of one of an attempt's files.
    func path(of reference: AttemptReference, _ suffix: Suffix) -> String {
        "\(directory)/\(reference.task).\(reference.attempt)\(suffix.rawValue)"
    }

    /// The files for an attempt's program.
    func files(of reference: AttemptReference) -> RunFiles {
        RunFiles(
            config: path(of: reference, .config), result: path(of: reference, .result),
            progress: path(of: reference, .progress))
    }

    /// Writes the config file, and removes a result that somebody left at its place.
    func prepare(_ files: RunFiles, config: [UInt8]) throws(FileError) {
        try removeIfPresent(files.result)
        try removeIfPresent(files.progress)
        try write(config + [0x0A], to: files.config)
    }

    /// Notes a running child, durably.
    func record(_ child: RunningChild, as suffix: Suffix = .running) throws(FileError) {
        try write(child.json, to: path(of: child.reference, suffix))
    }

    /// What the program left in its result file.
    func readResult(_ files: RunFiles) -> ProgramOutcome.ResultFile {
        do throws(FileError) {
            guard let metadata = try fileSystem.metadata(files.result) else { return .absent }
            guard !metadata.isDirectory else { return .unreadable("the result file is a directory: \(files.result)") }
            // Not opened when empty: a pipe or a device has no size either, and may have no end.
            guard metadata.sizeBytes > 0 else { return .content([]) }
            guard metadata.sizeBytes <= Self.maximumResultFileBytes else {
                return .unreadable(
                    "the result file has \(metadata.sizeBytes) bytes, a result at most "
                        + "\(ProgramOutcome.maximumResultBytes): write large things to the output directory")
            }
            return .content(try readWholeFile(files.result, on: fileSystem))
        } catch {
            return .unreadable("the result file cannot be read: \(error)")
        }
    }

    /// Keeps an outcome, durably, then removes what the run needed. What cannot be removed stays for the next start.
    func keep(_ outcome: KeptOutcome) throws(FileError) {
        try write(outcome.json, to: path(of: outcome.reference, .outcome))
        do throws(FileError) { try removeRunFiles(of: outcome.reference) } catch {
            // The outcome is safe, and beside it the files of the run count for nothing.
        }
    }

    /// Removes what the run of an attempt needed. Not synced: what comes back is removed by the next start. Throws the
    /// first error when all the others were tried.
    func removeRunFiles(of reference: AttemptReference) throws(FileError) {
        try removeAll(
            [Suffix.running, .result, .config, .progress, .keeper, .order].map { path(of: reference, $0) })
    }

    /// Removes what a keeper that was killed had not finished writing.
    func removeTemporaryFiles(of reference: AttemptReference) throws(FileError) {
        try removeAll(Suffix.allCases.map { path(of: reference, $0) + ".tmp" })
    }

    private func removeAll(_ paths: [String]) throws(FileError) {
        var failure: FileError?
        for path in paths {
            do throws(FileError) { try removeIfPresent(path) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// The manager has the outcome, or will never take it: it is removed, durably, so that a later start cannot
    /// deliver it to a task that was requeued meanwhile. So are the files of its run, where a full disk took no outcome.
    func forget(_ reference: AttemptReference) throws(FileError) {
        try removeIfPresent(path(of: reference, .outcome))
        try removeRunFiles(of: reference)
        try fileSystem.syncDirectory(directory)
    }

    /// Removes what stands there, a directory that a program made with all that is in it; nothing there is fine.
    func removeIfPresent(_ path: String) throws(FileError) {
        do throws(FileError) { try fileSystem.removeTree(path) } catch  where error.isNotFound {}
    }

    /// Writes a file, durably. A directory that a program made at its place goes.
    func write(_ bytes: [UInt8], to path: String) throws(FileError) {
        do throws(FileError) { return try writeFile(bytes, to: path) } catch {
            guard [EISDIR, ENOTEMPTY, EEXIST].contains(error.errno) else { throw error }
        }
        try removeIfPresent(path)
        try removeIfPresent(path + ".tmp")
        try writeFile(bytes, to: path)
    }

    private func writeFile(_ bytes: [UInt8], to path: String) throws(FileError) {
        var file = try AtomicFile(path, on: fileSystem)
        do throws(FileError) {
            try file.append(bytes)
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
    }
}
