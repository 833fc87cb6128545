import Synchronization

/// How many tasks the slots of a worker may still take together.
final class TaskBudget: Sendable {
    private let left: Mutex<Int>

    /// `tasks`: from 1.
    init(tasks: Int) { left = Mutex(tasks) }

    /// Takes one; false when there is none left.
    func take() -> Bool {
        left.withLock { left in
            guard left > 0 else { return false }
            left -= 1
            return true
        }
    }

    /// Gives one back that was not needed after all.
    func giveBack() { left.withLock { $0 += 1 } }
}
