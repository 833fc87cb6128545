import EventLog

/// Finds the sweep files that `--config` patterns name.
enum SweepFileNames {
    /// The pattern that is used when none is given, and then only if it matches.
    static let defaultPattern = "configs/*.yaml"

    /// Why the files cannot be named.
    enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// A pattern that matches no file.
        case noMatch(pattern: String)
        /// The disk refused.
        case file(FileError)

        /// One sentence.
        var description: String {
            switch self {
            case .noMatch(let pattern):
                GlobPattern(pattern).isPattern
                    ? "\(pattern) matches no file; name a sweep file or quote the pattern"
                    : "there is no sweep file \(pattern)"
            case .file(let error): error.description
            }
        }
    }

    /// The files of all patterns, each once, sorted by bytes; by the default pattern when there is none. Names are
    /// relative to `directory` (empty: the working directory) where the pattern is.
    static func find(
        _ patterns: [String], in directory: String, on fileSystem: any FileSystem
    ) throws(Failure) -> [String] {
        var names: Set<String> = []
        for pattern in patterns.isEmpty ? [defaultPattern] : patterns {
            let found: [String]
            do throws(FileError) {
                found = try GlobPattern(pattern).files(in: directory, on: fileSystem)
            } catch { throw .file(error) }
            if found.isEmpty, !patterns.isEmpty { throw .noMatch(pattern: pattern) }
            names.formUnion(found)
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
