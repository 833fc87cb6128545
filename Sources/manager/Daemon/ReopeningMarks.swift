import EventLog
import Synchronization

/// How large each result file was when a task was opened again: rows that stood there then, but had not been read yet,
/// belong to what was before and complete no later attempt.
///
/// Lives in memory: it is needed only until the next scan has read those rows. Should the manager be killed in those
/// seconds, such a row counts as one that came later.
final class ReopeningMarks: Sendable {
    private struct Size: Sendable {
        let identity: FileIdentity
        let bytes: Int64
    }

    private struct State {
        var paths: [String] = []
        var marks: [String: [String: Size]] = [:]
    }

    private let fileSystem: any FileSystem
    private let state = Mutex(State())

    /// Knows no file yet.
    init(_ fileSystem: any FileSystem) { self.fileSystem = fileSystem }

    /// Names the files whose sizes matter, by their resolved paths.
    func watch(_ paths: [String]) { state.withLock { $0.paths = paths } }

    /// Notes the sizes for tasks that are opened again now. A file that cannot be looked at has no row that could be
    /// read either.
    func note(_ tasks: [String]) {
        state.withLock { state in
            var sizes: [String: Size] = [:]
            for path in state.paths {
                do throws(FileError) {
                    guard let metadata = try fileSystem.metadata(path) else { continue }
                    sizes[path] = Size(identity: metadata.identity, bytes: metadata.sizeBytes)
                } catch { continue }  // the scan reports it
            }
            for task in tasks { state.marks[task] = sizes }
        }
    }

    /// True when the row at this offset stood in the file before the task was opened again.
    func stoodBefore(_ task: String, in path: String, _ identity: FileIdentity, offset: Int64) -> Bool {
        state.withLock { state in
            guard !state.marks.isEmpty, let size = state.marks[task]?[path] else { return false }
            return size.identity == identity && offset < size.bytes
        }
    }

    /// Forgets a file that is read anew: its rows count by their content.
    func forget(_ path: String) {
        state.withLock { state in
            guard !state.marks.isEmpty else { return }
            for task in state.marks.keys { state.marks[task]?[path] = nil }
        }
    }

    /// Forgets the tasks for which everything that stood then has been read. `position`: how far a file was read; nil
    /// where it is not watched any more.
    func forget(_ position: (String) -> Int64?) {
        state.withLock { state in
            guard !state.marks.isEmpty else { return }
            state.marks = state.marks.filter { _, sizes in
                sizes.contains { path, size in position(path).map { $0 < size.bytes } ?? false }
            }
        }
    }
}
