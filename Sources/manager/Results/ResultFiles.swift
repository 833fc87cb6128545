import EventLog
import Projections

/// Writes the rows that completions owe: to `final_results.csv` in each output directory and in the data directory.
///
/// Every row stands once in each distinct file (links to one file count once), and when a row is reported as written it
/// is on the disk. Order of effects for a batch, file by file: (1) missing directories made and synced; (2) a torn last
/// row cut or ended; (3) one append; (4) one sync. A new file, or one whose header must grow, is written whole under
/// `NAME.tmp` instead and then takes the name (`ResultFile`). What the next start finds:
/// - before (3): nothing of the batch; all of its rows are owed again and written by `append` with `checkingPresence`;
/// - within (3): some whole rows, which are recognised by task_id and attempt and not written again, and the beginning
///   of one, which is cut;
/// - after (4): all rows.
/// A batch that failed in one file is given to `append` again as it is: files that have a row are left alone.
///
/// One owner, one thread; it blocks on the disk.
struct ResultFiles: Sendable {
    /// The name of every result file.
    static let fileName = "final_results.csv"

    private let dataDirectory: String
    private let fileSystem: any FileSystem
    private var files: [ExactText: ResultFile] = [:]
    /// Paths of files, and names of output directories, that took no row the last time.
    private var refused: [ExactText: ResultFilesError] = [:]
    /// Directories whose names this process has made durable.
    private var durableDirectories: Set<ExactText> = []
    /// Rows that some file lacks: the files that have them.
    private var partlyWritten: [ResultRowID: Set<ExactText>] = [:]

    /// Begins to write below a data directory.
    init(dataDirectory: String, on fileSystem: any FileSystem) {
        self.dataDirectory = dataDirectory
        self.fileSystem = fileSystem
    }

    /// Writes the rows to all of their files, in order, one append and one sync a file.
    ///
    /// With `checkingPresence` each file is read first, and rows that it has are not written again: for what may be
    /// owed after a start, and for a complete task that got another directory. Give owed rows in the journal's order;
    /// then several batches do as well as one.
    mutating func append(_ rows: [ResultRow], checkingPresence: Bool = false) -> ResultOutcome {
        append(rows, checkingFirst: checkingPresence ? rows.count : 0)
    }

    /// As above; only of the first `count` rows some may stand already, so files that none of those goes to are not read.
    ///
    /// Without `retrying`, files and directories that refused the last time are left alone and their rows are owed: so a
    /// full disk costs one try a round, and no row overtakes those that are owed to its file. Give what is owed again
    /// with `retrying`, before newer rows.
    mutating func append(_ rows: [ResultRow], checkingFirst count: Int, retrying: Bool = true) -> ResultOutcome {
        var outcome = ResultOutcome()
        var owed: Set<Int> = []
        if retrying { refused = [:] }
        let plan = plan(rows, &outcome, &owed)
        var written: [(path: ExactText, rows: [Int])] = []
        for (path, indexes) in plan {
            let indexes = indexes.filter { !(partlyWritten[rows[$0].id]?.contains(path) ?? false) }
            guard !indexes.isEmpty else { continue }
            if let error = refused[path] {
                outcome.errors.append(error)
                owed.formUnion(indexes)
                continue
            }
            var file = files[path] ?? ResultFile(path.text, on: fileSystem)
            do throws(ResultFilesError) {
                try file.append(indexes.map { rows[$0] }, checkingPresence: indexes.contains { $0 < count }, &outcome)
                written.append((path, indexes))
            } catch {
                refused[path] = error
                outcome.errors.append(error)
                owed.formUnion(indexes)
            }
            files[path] = file
        }
        outcome.owed = owed.sorted()
        if !owed.isEmpty {
            for (path, indexes) in written {
                for index in indexes where owed.contains(index) {
                    partlyWritten[rows[index].id, default: []].insert(path)
                }
            }
        }
        if !partlyWritten.isEmpty {
            for (index, row) in rows.enumerated() where !owed.contains(index) { partlyWritten[row.id] = nil }
        }
        return outcome
    }

    /// Takes up what a crash left of growing headers, in these output directories and the data directory: rows that
    /// were appended to a replaced file are carried over. Call it at start, before the result files are read.
    mutating func recover(outputDirectories: [String]) -> ResultOutcome {
        var outcome = ResultOutcome()
        for directory in [""] + outputDirectories where OutputDirectory.problem(directory) == nil || directory.isEmpty {
            do throws(FileError) {
                let named = directory.isEmpty ? dataDirectory : dataDirectory + "/" + directory
                guard try fileSystem.metadata(named + "/" + Self.fileName)?.isRegular == true else { continue }
                let path = ExactText(try fileSystem.resolve(named + "/" + Self.fileName))
                var file = files[path] ?? ResultFile(path.text, on: fileSystem)
                do throws(ResultFilesError) { try file.recover(&outcome) } catch { outcome.errors.append(error) }
                files[path] = file
            } catch { outcome.errors.append(.file(error)) }
        }
        return outcome
    }

    /// One scan of the replaced files (`NAME.previous`): rows that were appended to them are carried over, and those
    /// that were replaced before the scan before this one are removed. Call it with every scan for rows of others,
    /// before they are read.
    mutating func scanPrevious() -> ResultOutcome {
        var outcome = ResultOutcome()
        for path in files.keys.sorted() {
            guard var file = files[path], file.hasPrevious else { continue }
            do throws(ResultFilesError) { try file.scanPrevious(&outcome) } catch { outcome.errors.append(error) }
            files[path] = file
        }
        return outcome
    }

    /// Where the rows of a directory go.
    private enum Place {
        case file(ExactText)
        /// The directory cannot be made or looked at now.
        case unreachable
        /// No row may go there.
        case never
    }

    /// Which rows go to which file, files in the order of their first row. Rows whose directory cannot be made are owed;
    /// those that can never be written are reported and owed to nobody, or no state would be saved any more.
    private mutating func plan(
        _ rows: [ResultRow], _ outcome: inout ResultOutcome, _ owed: inout Set<Int>
    ) -> [(path: ExactText, rows: [Int])] {
        var plan: [(path: ExactText, rows: [Int])] = []
        var places: [ExactText: Int] = [:]
        var paths: [ExactText: Place] = [:]
        for (index, row) in rows.enumerated() {
            if let problem = row.problem {
                outcome.errors.append(.malformedRow(task: row.task, problem: problem))
                continue
            }
            for directory in row.outputDirectories + (row.isForDataDirectory ? [""] : []) {
                let name = ExactText(directory)
                let place: Place
                if let known = paths[name] {
                    place = known
                } else {
                    do throws(ResultFilesError) {
                        if let error = refused[name] { throw error }
                        place = .file(ExactText(try self.path(in: directory)))
                    } catch {
                        outcome.errors.append(error)
                        if case .badDirectory = error { place = .never } else { place = .unreachable }
                        if error.canPass { refused[name] = error }
                    }
                    paths[name] = place
                }
                guard case .file(let path) = place else {
                    if case .unreachable = place { owed.insert(index) }
                    continue
                }
                if let place = places[path] {
                    if plan[place].rows.last != index { plan[place].rows.append(index) }
                } else {
                    places[path] = plan.count
                    plan.append((path, [index]))
                }
            }
        }
        return plan
    }

    /// Syncs the names of a directory and those above it, once: a process that was killed may have made them and not
    /// come to its sync.
    private mutating func makeDurable(_ directory: String) throws(FileError) {
        var above = directory
        while !above.isEmpty, !durableDirectories.contains(ExactText(above)) {
            let parent = parentDirectory(of: dataDirectory + "/" + above)
            try fileSystem.syncDirectory(parent)
            durableDirectories.insert(ExactText(above))
            above = above.contains("/") ? parentDirectory(of: above) : ""
        }
    }

    /// The resolved path of the file of a directory, which is made where it is missing; `""` is the data directory.
    private mutating func path(in directory: String) throws(ResultFilesError) -> String {
        if !directory.isEmpty, let problem = OutputDirectory.problem(directory) {
            throw .badDirectory(path: directory, problem: problem)
        }
        let named = directory.isEmpty ? dataDirectory : dataDirectory + "/" + directory
        do throws(FileError) {
            try fileSystem.createDirectories(named)
            try makeDurable(directory)
            let inDirectory = named + "/" + Self.fileName
            if try fileSystem.metadata(inDirectory) != nil { return try fileSystem.resolve(inDirectory) }
            return try fileSystem.resolve(named) + "/" + Self.fileName
        } catch { throw .file(error) }
    }
}
