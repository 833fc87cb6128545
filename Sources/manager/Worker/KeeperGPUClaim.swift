import EventLog
import Glibc
import Synchronization

/// A keeper's claim on its program's GPU, from its worker's death to the program's end.
///
/// While the worker lives the lock names the worker. The keeper's standard output is a pipe to it, and an error on that pipe
/// tells at once that it has died: the keeper then takes the lock over, as anybody may take a dead process's. So who looks at
/// the lock finds a process that lives for as long as a program uses the GPU. Where another keeper of the same worker was
/// faster, this one takes the lock when that one gives it back.
final class KeeperGPUClaim: Sendable {
    private enum State {
        case watching
        case taking
        case held(GPULock)
        case over
    }

    private static let watchMilliseconds: Int32 = 500
    private static let pauseMicroseconds: UInt32 = 100_000

    private let gpu: Int
    private let folder: GPULockFolder
    private let state = Mutex(State.watching)

    /// For a program that a worker of this directory started on this GPU. Throws without /proc.
    init(_ gpu: Int, in data: DataDirectory, processes: ProcessTable) throws(FileError) {
        self.gpu = gpu
        folder = GPULockFolder(
            directory: data.gpuLocks, fileSystem: data.fileSystem, processes: processes,
            asker: try GPULockOwner.ofThisProcess(processes))
    }

    /// Begins to watch the worker, on a thread of its own.
    func begin() { startThread(named: "keeper-gpu") { [self] in watch() } }

    /// The program has ended: gives the GPU back where the keeper holds it. A lock that cannot be removed names a process
    /// that is about to end, and is taken over. Blocks.
    func end() {
        while true {
            let step = state.withLock { state -> State in
                let before = state
                if case .taking = state { return before }
                state = .over
                return before
            }
            switch step {
            case .taking: usleep(1000)
            case .held(let lock):
                do throws(FileError) { try lock.release() } catch { return }
                return
            case .watching, .over: return
            }
        }
    }

    private func watch() {
        while !isWorkerGone() { if case .over = state.withLock({ $0 }) { return } }
        while true {
            let isOver = state.withLock { state -> Bool in
                if case .over = state { return true }
                state = .taking
                return false
            }
            if isOver { return }
            let lock: GPULock?
            // Somebody else has it: one more keeper of the worker, or who came in the moment of the worker's death.
            do throws(GPULockError) { lock = try folder.take(gpu) } catch { lock = nil }
            let next: State = if let lock { .held(lock) } else { .watching }
            state.withLock { $0 = next }
            if lock != nil { return }
            usleep(Self.pauseMicroseconds)
        }
    }

    private func isWorkerGone() -> Bool {
        var pipe = pollfd(fd: STDOUT_FILENO, events: 0, revents: 0)
        guard poll(&pipe, 1, Self.watchMilliseconds) > 0 else { return false }
        return pipe.revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0
    }
}
