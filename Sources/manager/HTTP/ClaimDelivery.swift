import Projections
import Synchronization

/// Gives tasks back whose answer never went out, wherever it was dropped: also before its head was written, when nobody
/// asks for the body any more.
final class ClaimDelivery: Sendable {
    private let tasks: [ManagerState.ClaimedTask]
    private let worker: String
    private let processor: CommandProcessor
    private let actor: String
    private let isOut = Atomic(false)

    init(_ tasks: [ManagerState.ClaimedTask], _ worker: String, _ processor: CommandProcessor, _ actor: String) {
        self.tasks = tasks
        self.worker = worker
        self.processor = processor
        self.actor = actor
    }

    deinit {
        if !isOut.load(ordering: .acquiring) { processor.giveBack(tasks, worker: worker, actor: actor) }
    }

    /// The answer is out.
    func isDone() { isOut.store(true, ordering: .releasing) }
}
