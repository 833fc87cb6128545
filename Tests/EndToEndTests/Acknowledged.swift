import Foundation

/// What a manager has acknowledged to several clients, and how much: a test waits for more of it.
final class Acknowledged: @unchecked Sendable {
    // Sendable: every access to the members is under the condition's lock.
    private let changed = NSCondition()
    private var added: Set<String> = []
    private var completed: Set<String> = []
    private var count = 0

    /// The ids of tasks that were added and completed.
    var all: (added: Set<String>, completed: Set<String>) { changed.withLock { (added, completed) } }

    /// Notes an acknowledged addition.
    func add(_ task: String) { note { added.insert(task) } }

    /// Notes an acknowledged completion.
    func complete(_ task: String) { note { completed.insert(task) } }

    /// Waits until so many more were acknowledged; false when that takes over a minute.
    func wait(forMore more: Int) -> Bool {
        changed.withLock {
            let (target, deadline) = (count + more, Date(timeIntervalSinceNow: 60))
            while count < target { if !changed.wait(until: deadline) { return false } }
            return true
        }
    }

    private func note(_ change: () -> (inserted: Bool, memberAfterInsert: String)) {
        changed.withLock {
            _ = change()
            count += 1
            changed.broadcast()
        }
    }
}
