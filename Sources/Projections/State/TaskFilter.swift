/// Which tasks are meant: all that agree in everything that is named.
public struct TaskFilter: Sendable, Equatable {
    /// Any of these; empty: every status.
    public var statuses: Set<TaskStatus> = []
    /// The phase's name; nil: every phase.
    public var phase: String?
    /// Who holds the task, or held it last; nil: everybody.
    public var worker: String?

    /// Means every task.
    public init() {}
}

extension ManagerState {
    /// A page of tasks: their numbers, and whether more follow.
    public struct TaskPage: Sendable, Equatable {
        /// Places in the order of adding.
        public var numbers: [Int]
        /// True where further tasks agree too.
        public var hasMore: Bool
    }

    /// The tasks that a filter means, in the order of adding, from a place on, at most `limit`.
    public func tasks(matching filter: TaskFilter, from start: Int = 0, limit: Int = .max) -> TaskPage {
        var page = TaskPage(numbers: [], hasMore: false)
        guard let matches = matcher(filter) else { return page }
        for number in max(0, start)..<max(start, taskCount) where matches(tasks[number]) {
            guard page.numbers.count < limit else {
                page.hasMore = true
                break
            }
            page.numbers.append(number)
        }
        return page
    }

    /// The tasks that a filter means and that have ended, those that ended last first, at most `limit` (over 0). Of equal
    /// times the later added comes first. The page is the only one.
    public func newestEnded(matching filter: TaskFilter, limit: Int) -> TaskPage {
        guard let matches = matcher(filter) else { return TaskPage(numbers: [], hasMore: false) }
        var found: [(time: Int64, number: Int)] = []
        func cut() {
            found.sort { $0 > $1 }
            found.removeLast(max(0, found.count - limit))
        }
        for number in 0..<taskCount where tasks[number].finishedAt != TaskRecord.never && matches(tasks[number]) {
            found.append((tasks[number].finishedAt, number))
            // Twice as many as are wanted: sorted seldom, and the memory stays bounded.
            if found.count >= 2 * limit + 64 { cut() }
        }
        cut()
        return TaskPage(numbers: found.map(\.number), hasMore: false)
    }

    /// How a filter judges a record; nil where it names a phase or worker that does not stand.
    private func matcher(_ filter: TaskFilter) -> ((TaskRecord) -> Bool)? {
        var phase: UInt32?
        if let name = filter.phase {
            guard let number = phaseNames.number(of: name) else { return nil }
            phase = UInt32(number)
        }
        var worker: UInt32?
        if let name = filter.worker {
            guard let number = workerNames.number(of: name) else { return nil }
            worker = UInt32(number)
        }
        let statuses = filter.statuses
        return { [templates] task in
            if let worker, task.worker != worker, task.completedBy != worker || task.status != .complete {
                return false
            }
            if let phase, templates[Int(task.template)].phase != phase { return false }
            return statuses.isEmpty || statuses.contains(task.status)
        }
    }
}

extension ManagerState {
    /// What readers show of a task in one line.
    public struct TaskLine: Sendable, Equatable {
        /// The task's id.
        public var id: String
        /// The phase's name.
        public var phase: String
        /// Where it stands.
        public var status: TaskStatus
        /// The latest attempt; 0: never assigned.
        public var attempt: UInt32
        /// Who holds or held it.
        public var worker: String?
        /// How many failures cost a retry.
        public var retryCount: UInt32
        /// The newest error.
        public var lastError: String?
        /// Higher is claimed first.
        public var priority: Int
        /// The config, a JSON object.
        public var config: [UInt8]
        /// Why it is held or cancelled.
        public var reason: String?
    }

    /// One task's line, by its place in the order of adding.
    public func taskLine(_ number: Int) -> TaskLine {
        let task = tasks[number]
        return TaskLine(
            id: ids.text(number), phase: phaseNames.text(Int(phase(of: number))), status: task.status,
            attempt: task.attempt, worker: task.worker == TaskRecord.none ? nil : workerNames.text(Int(task.worker)),
            retryCount: task.retryCount,
            lastError: task.hasError ? texts.with(task.lastError) { String(decoding: $0, as: UTF8.self) } : nil,
            priority: Int(task.priority), config: texts.bytes(task.config),
            reason: task.reason == TaskRecord.none ? nil : words.text(Int(task.reason)))
    }

    /// Whether a task is complete with a result, by its place in the order of adding.
    public func hasResult(_ number: Int) -> Bool { tasks[number].hasResult }

    /// The phase of a task; nil for an unknown id.
    public func phase(ofTask id: UnsafeBufferPointer<UInt8>) -> String? {
        ids.number(of: id).map { phaseNames.text(Int(phase(of: $0))) }
    }

    /// Whether a task waits for other phases at all.
    public func hasGate(_ number: Int) -> Bool { gate(number) != TaskRecord.none }

    /// The phases that a task waits for which are not complete; empty where none keep it.
    public func awaitedPhases(_ number: Int) -> [String] {
        let after = gate(number)
        guard after != TaskRecord.none else { return [] }
        return words.with(Int(after)) { Self.strings($0) }.filter { name in
            guard let counts = counts(ofPhase: name) else { return true }
            return counts.total == 0 || counts[.complete] < counts.total
        }
    }
}

extension ManagerState {
    /// True when none of the tasks is assigned and no pending one of them can still become claimable; nil: all tasks.
    public func isDone(_ numbers: [Int]?) -> Bool {
        guard let numbers else { return isDone }
        var openGates: [UInt32: Bool] = [:]
        return numbers.allSatisfy { number in
            switch tasks[number].status {
            case .assigned: return false
            case .pending:
                let gate = gate(number)
                if let known = openGates[gate] { return !known }
                let canProceed = canOpen(gate, visiting: [])
                openGates[gate] = canProceed
                return !canProceed
            case .complete, .failed, .cancelled, .held: return true
            }
        }
    }
}

extension ManagerState {
    /// A sentence for a phase that no task belongs to, with those that there are; nil where one does.
    public func problem(withPhase phase: String?) -> String? {
        guard let phase, counts(ofPhase: phase) == nil else { return nil }
        let names = phases.prefix(50).joined(separator: ", ") + (phases.count > 50 ? " …" : "")
        return "there is no phase \(phase): " + (phases.isEmpty ? "no task stands yet" : names)
    }
}
