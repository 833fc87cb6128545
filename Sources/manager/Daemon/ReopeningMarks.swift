import EventLog
import Synchronization

/// How large each result file was when a task was opened again, where it had rows that were not read yet: they belong to
/// what was before and complete no later attempt.
///
/// Lives in memory: it is needed only until the next scan has read those rows. Should the manager be killed in those
/// seconds, such a row counts as one that came later.
final class ReopeningMarks: Sendable {
    private struct Size: Sendable {
        let identity: FileIdentity
        let bytes: Int64
    }

    private struct State {
        var positions: [String: Int64] = [:]
        var marks: [String: [String: Size]] = [:]
    }

    private let fileSystem: any FileSystem
    private let state = Mutex(State())

    /// Knows no file yet.
    init(_ fileSystem: any FileSystem) { self.fileSystem = fileSystem }

    /// Names the files whose sizes matter, by their resolved paths, and how far each was read.
    func watch(_ positions: [String: Int64]) { state.withLock { $0.positions = positions } }

    /// Notes the sizes for tasks that are opened again now. A file that cannot be looked at has no row that could be
    /// read either.
    func note(_ tasks: [String]) {
        state.withLock { state in
            var sizes: [String: Size] = [:]
            for (path, position) in state.positions {
                do throws(FileError) {
                    guard let metadata = try fileSystem.metadata(path), metadata.sizeBytes > position else { continue }
                    sizes[path] = Size(identity: metadata.identity, bytes: metadata.sizeBytes)
                } catch { continue }  // the scan reports it
            }
            for task in tasks { state.marks[task] = sizes.isEmpty ? nil : sizes }
        }
    }

    /// True when the row at this offset stood in the file before the task was opened again.
    func stoodBefore(_ task: String, in path: String, _ identity: FileIdentity, offset: Int64) -> Bool {
        state.withLock { state in
            guard !state.marks.isEmpty, let size = state.marks[task]?[path] else { return false }
            return size.identity == identity && offset < size.bytes
        }
    }

    /// A file that is read anew, so large: what had not been read may stand anywhere in it.
    func begunAnew(_ path: String, _ identity: FileIdentity, sizeBytes: Int64) {
        state.withLock { state in
            for task in state.marks.keys where state.marks[task]?[path] != nil {
                state.marks[task]?[path] = Size(identity: identity, bytes: sizeBytes)
            }
        }
    }

    /// Names the files anew after a scan, and forgets the tasks for which all that stood then has been read.
    func settle(_ positions: [String: Int64]) {
        state.withLock { state in
            state.positions = positions
            guard !state.marks.isEmpty else { return }
            state.marks = state.marks.filter { _, sizes in
                sizes.contains { path, size in positions[path].map { $0 < size.bytes } ?? false }
            }
        }
    }
}
