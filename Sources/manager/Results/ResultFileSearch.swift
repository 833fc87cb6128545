import EventLog
import Projections

/// Finds the result files that others may write: `final_results.csv` in the data directory, in `results_*/` and in
/// every task's output directories, and what `--results` names. Each file once, whatever names and links lead to it.
struct ResultFileSearch {
    /// A result file.
    struct Found: Equatable {
        /// The name in events: relative to the data directory where the file stands in it, else absolute.
        let name: String
        /// The path without links.
        let path: String
    }

    private let data: DataDirectory
    private let patterns: [GlobPattern]
    private var directories: [String] = []
    private var directoriesMark = -1

    /// `patterns`: what `--results` names, from the working directory or from the data directory.
    init(_ data: DataDirectory, patterns: [String]) {
        self.data = data
        self.patterns = patterns.map { GlobPattern($0) }
    }

    /// The files that stand now, in an order that is the same each time. `problem` is told of what cannot be looked at.
    mutating func find(_ state: ManagerState, problem: (FileError) -> Void) -> [Found] {
        if directoriesMark != state.outputDirectoriesMark {
            directoriesMark = state.outputDirectoriesMark
            directories = state.outputDirectories.filter { OutputDirectory.problem($0) == nil }
        }
        var paths = ([""] + directories.map { "/" + $0 }).map { "\(data.path)\($0)/\(ResultFiles.fileName)" }
        paths += matches(GlobPattern("results_*/" + ResultFiles.fileName), in: data.path, problem)
        for pattern in patterns {
            let isAbsolute = pattern.description.utf8.first == UInt8(ascii: "/")
            paths += matches(pattern, in: "", problem)
            if !isAbsolute { paths += matches(pattern, in: data.path, problem) }
        }
        return distinct(paths, problem)
    }

    private func matches(
        _ pattern: GlobPattern, in directory: String, _ problem: (FileError) -> Void
    ) -> [String] {
        do throws(FileError) {
            let names = try pattern.files(in: directory, on: data.fileSystem)
            return names.map { directory.isEmpty || $0.hasPrefix("/") ? $0 : directory + "/" + $0 }
        } catch {
            problem(error)
            return []
        }
    }

    private func distinct(_ paths: [String], _ problem: (FileError) -> Void) -> [Found] {
        var root: String?
        do throws(FileError) { root = try data.fileSystem.resolve(data.path) } catch { problem(error) }
        var seen: Set<FileIdentity> = []
        var found: [Found] = []
        for path in paths {
            do throws(FileError) {
                guard let metadata = try data.fileSystem.metadata(path), metadata.isRegular,
                    seen.insert(metadata.identity).inserted
                else { continue }
                let resolved = try data.fileSystem.resolve(path)
                let isInside = root.map { resolved.hasPrefix($0 + "/") } ?? false
                let name = isInside ? String(resolved.dropFirst((root?.count ?? 0) + 1)) : resolved
                found.append(Found(name: name, path: resolved))
            } catch { problem(error) }
        }
        return found
    }
}
