import Projections
import Synchronization

/// Tasks on their way to a client: given back unless `isOut` says that the answer has left.
///
/// A connection that is reset takes its answer with it in many ways: before the head is written nobody asks for the body any
/// more, and what was written may never have reached the system. So it is the end of this value that gives back.
final class HandedOut: Sendable {
    /// The tasks, maybe none.
    let tasks: [ManagerState.ClaimedTask]
    private let worker: String
    private let processor: CommandProcessor
    private let actor: String
    private let hasLeft = Mutex(false)

    /// Tasks that were assigned to a worker, and are to be told to it.
    init(_ tasks: [ManagerState.ClaimedTask], to worker: String, _ processor: CommandProcessor, _ actor: String) {
        self.tasks = tasks
        self.worker = worker
        self.processor = processor
        self.actor = actor
    }

    /// The answer has left.
    func isOut() { hasLeft.withLock { $0 = true } }

    deinit {
        guard !tasks.isEmpty, !hasLeft.withLock({ $0 }) else { return }
        processor.giveBack(tasks, worker: worker, actor: actor)
    }
}
