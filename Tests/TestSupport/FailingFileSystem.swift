import EventLog
import Glibc
import Synchronization

/// A file system that fails at the n-th call that would change something, in front of any other one.
///
/// With `.fromThenOn` it is a process that dies there: no later change comes through. With `.once` it is a disk that
/// refuses a single call. A write that fails leaves the first half of its bytes, as a torn one does.
public final class FailingFileSystem: TearingFileSystem {
    /// Which calls fail.
    public enum Extent: Sendable {
        /// The n-th alone.
        case once
        /// The n-th and all after it.
        case fromThenOn
    }

    private struct State {
        var calls = 0
        var log: [String] = []
    }

    /// The file system behind.
    public let base: any FileSystem
    private let failingCall: Int
    private let extent: Extent
    private let errorNumber: Int32
    private let state = Mutex(State())

    /// Fails at the call `failingCall`, from 1; 0: never, for counting.
    public init(
        _ base: any FileSystem = LocalFileSystem(), failingCall: Int, _ extent: Extent = .fromThenOn, errno: Int32 = EIO
    ) {
        self.base = base
        self.failingCall = failingCall
        self.extent = extent
        self.errorNumber = errno
    }

    /// How many changing calls there were.
    public var changingCalls: Int { state.withLock { $0.calls } }

    /// The changing calls in order, such as `sync /tmp/a`.
    public var log: [String] { state.withLock { $0.log } }

    /// Counts a changing call and throws when it is one that fails.
    public func notice(_ call: FileCall) throws(FileError) {
        guard call.isChanging else { return }
        let fails = state.withLock { state in
            state.calls += 1
            state.log.append("\(call.text.operation) \(call.text.path)")
            guard failingCall > 0 else { return false }
            return extent == .once ? state.calls == failingCall : state.calls >= failingCall
        }
        if fails { throw call.failure(errorNumber) }
    }

    /// A process that has died writes nothing more; the write that it dies in may leave a part.
    public func takeTornBytes(of count: Int) -> Int { state.withLock { $0.calls == failingCall } ? count / 2 : 0 }
}
