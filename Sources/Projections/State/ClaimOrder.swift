import EventLog

/// Which pending tasks are claimed first: by priority, then in the order of adding; a requeued task keeps its place.
///
/// One heap of task numbers for each pair of priority and gate (the phases that must be complete first). Tasks that
/// have left pending meanwhile are dropped when they come up. Built from the tasks when it is first asked for, so that
/// a replay does not pay for it.
struct ClaimOrder: Sendable {
    struct Group: Sendable {
        let priority: Int32
        let gate: UInt32
        var heap: [UInt32] = []
    }

    private(set) var isBuilt = false
    /// By priority, the highest first.
    private var groups: [Group] = []

    /// Notes that a task is pending now.
    mutating func add(_ number: Int, of task: TaskRecord, gate: UInt32) {
        guard isBuilt, task.status == .pending else { return }
        push(UInt32(number), priority: task.priority, gate: gate)
    }

    /// Builds the order from all tasks.
    mutating func build(from state: ManagerState) {
        groups = []
        isBuilt = true
        for number in 0..<state.tasks.count where state.tasks[number].status == .pending {
            push(UInt32(number), priority: state.tasks[number].priority, gate: state.gate(number))
        }
    }

    /// Takes the first task for which `isOpen(gate)` and `isCurrent(task)` hold; nil when there is none.
    /// `isCurrent` says whether the task is still pending with this priority.
    mutating func takeFirst(
        isOpen: (UInt32) -> Bool, isCurrent: (UInt32, Int32) -> Bool
    ) -> UInt32? {
        var at = 0
        while at < groups.count {
            let priority = groups[at].priority
            var best: (group: Int, number: UInt32)?
            while at < groups.count, groups[at].priority == priority {
                while let top = groups[at].heap.first, !isCurrent(top, priority) { _ = pop(at) }
                if let top = groups[at].heap.first, best.map({ top < $0.number }) ?? true, isOpen(groups[at].gate) {
                    best = (at, top)
                }
                at += 1
            }
            if let best { return pop(best.group) }
        }
        groups.removeAll { $0.heap.isEmpty }
        return nil
    }

    private mutating func push(_ number: UInt32, priority: Int32, gate: UInt32) {
        var at = groups.firstIndex { $0.priority == priority && $0.gate == gate }
        if at == nil {
            let place = groups.firstIndex { $0.priority < priority } ?? groups.count
            groups.insert(Group(priority: priority, gate: gate), at: place)
            at = place
        }
        guard let at else { return }
        groups[at].heap.append(number)
        var child = groups[at].heap.count - 1
        while child > 0, case let parent = (child - 1) / 2, groups[at].heap[parent] > groups[at].heap[child] {
            groups[at].heap.swapAt(parent, child)
            child = parent
        }
    }

    private mutating func pop(_ at: Int) -> UInt32? {
        guard let top = groups[at].heap.first else { return nil }
        let last = groups[at].heap.removeLast()
        guard !groups[at].heap.isEmpty else { return top }
        groups[at].heap[0] = last
        var parent = 0
        let count = groups[at].heap.count
        while case let left = 2 * parent + 1, left < count {
            let right = left + 1
            let child = right < count && groups[at].heap[right] < groups[at].heap[left] ? right : left
            guard groups[at].heap[child] < groups[at].heap[parent] else { break }
            groups[at].heap.swapAt(child, parent)
            parent = child
        }
        return top
    }
}
