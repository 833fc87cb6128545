import EventLog
import Glibc
import Synchronization

/// A file system that counts the bytes that are read of each file, and can refuse reads at a place.
public final class CountingFileSystem: PassingFileSystem {
    private struct State {
        var bytes: [String: Int] = [:]
        var refused: Range<Int64>?
    }

    /// The real disk, where a test says nothing else.
    public let base: any FileSystem
    private let state = Mutex(State())

    /// Counts from nothing.
    public init(_ base: any FileSystem = LocalFileSystem()) { self.base = base }

    /// How many bytes were read of files whose path ends so, since the last `reset`.
    public func bytesRead(_ suffix: String) -> Int {
        state.withLock { $0.bytes.filter { $0.key.hasSuffix(suffix) }.reduce(0) { $0 + $1.value } }
    }

    /// Counts from nothing again.
    public func reset() { state.withLock { $0.bytes = [:] } }

    /// Refuses reads of result files that begin at one of these offsets; nil: none.
    public func refuseReads(in offsets: Range<Int64>?) { state.withLock { $0.refused = offsets } }

    /// Counts reads.
    public func notice(_ call: FileCall) throws(FileError) {
        guard case .read(let path, let offset, let bytes) = call else { return }
        let isRefused = state.withLock { state -> Bool in
            state.bytes[path, default: 0] += bytes
            return path.hasSuffix(".csv") && state.refused?.contains(offset) ?? false
        }
        if isRefused { throw call.failure(EIO) }
    }
}
