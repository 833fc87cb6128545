import EventLog

/// What readers ask of a state.
extension ManagerState {
    /// `45/240 (18.8%)`: complete tasks of all.
    public var progress: String {
        let share = counts.total == 0 ? 0 : Double(counts[.complete]) / Double(counts.total) * 100
        return "\(counts[.complete])/\(counts.total) (\(Self.oneDecimal(share))%)"
    }

    /// A number with one decimal; very large ones as Swift writes them.
    public static func oneDecimal(_ value: Double) -> String {
        guard value.magnitude < 1e15 else { return String(value) }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
    }

    /// True when no task is assigned and no pending one can still become claimable.
    public var isDone: Bool { counts[.assigned] == 0 && (counts[.pending] == 0 || !pendingCanProceed) }

    /// True when every task is complete.
    public var isAllComplete: Bool { counts.total == counts[.complete] }

    /// The gates that pending tasks wait behind, with how many wait, and whether each can still open.
    var waitingGates: [(gate: UInt32, tasks: Int)] {
        var found: [UInt32: Int] = [:]
        for number in 0..<tasks.count where tasks[number].status == .pending { found[gate(number), default: 0] += 1 }
        return found.map { ($0.key, $0.value) }
    }

    private var pendingCanProceed: Bool { waitingGates.contains { canOpen($0.gate, visiting: []) } }

    /// Whether all phases of a gate are or may become complete.
    func canOpen(_ gate: UInt32, visiting: Set<String>) -> Bool {
        guard gate != TaskRecord.none else { return true }
        return words.with(Int(gate)) { Self.strings($0) }.allSatisfy { canComplete($0, visiting: visiting) }
    }

    private func canComplete(_ phase: String, visiting: Set<String>) -> Bool {
        guard let number = phaseNames.number(of: phase), !visiting.contains(phase) else { return false }
        let counts = phaseCounts[number]
        guard counts.total > 0 else { return false }
        if counts[.complete] == counts.total { return true }
        if counts[.failed] + counts[.cancelled] + counts[.held] > 0 { return false }
        guard counts[.pending] > 0 else { return true }
        var deeper = visiting
        deeper.insert(phase)
        let gates = Set(templates.filter { Int($0.phase) == number }.map(\.after))
        return gates.allSatisfy { canOpen($0, visiting: deeper) }
    }

    /// Names pending tasks that can never be claimed, as phases: `phase b (3 tasks) waits for a`.
    public var blockedPhases: [String] { blockedPhases(behind: waitingGates) }

    /// The same of the tasks that wait behind some gates.
    func blockedPhases(behind gates: [(gate: UInt32, tasks: Int)]) -> [String] {
        gates.filter { !canOpen($0.gate, visiting: []) }.map { entry in
            let names = words.with(Int(entry.gate)) { Self.strings($0) }.joined(separator: ", ")
            return "\(entry.tasks) \(entry.tasks == 1 ? "task waits" : "tasks wait") for \(names)"
        }.sorted()
    }

    /// One task as JSON, as in the state file; nil for an unknown id.
    public func taskJSON(_ id: String) -> [UInt8]? {
        guard let number = taskNumber(id) else { return nil }
        var out: [UInt8] = []
        appendTask(number, to: &out)
        return out
    }

    /// A task's status; nil for an unknown id.
    public func status(of id: String) -> TaskStatus? { taskNumber(id).map { tasks[$0].status } }

    /// What a result row needs of a task; nil for an unknown id.
    public func resultContext(of id: String) -> (phase: String, seed: [UInt8], config: [UInt8], directories: [String])?
    {
        guard let number = taskNumber(id) else { return nil }
        let task = tasks[number]
        return (
            phaseNames.text(Int(phase(of: number))), words.with(Int(task.seed)) { Array($0) }, texts.bytes(task.config),
            words.with(Int(task.outputDirectories)) { Self.strings($0) }
        )
    }

    /// A task's phase and config, by its place in the order of adding.
    public func point(_ number: Int) -> (
        id: String, phase: String, config: [UInt8], directories: [String], isComplete: Bool
    ) {
        let task = tasks[number]
        return (
            ids.text(number), phaseNames.text(Int(phase(of: number))), texts.bytes(task.config),
            words.with(Int(task.outputDirectories)) { Self.strings($0) }, task.status == .complete
        )
    }

    /// Every distinct output directory.
    public var outputDirectories: [String] {
        var seen: Set<UInt32> = []
        var directories: Set<String> = []
        for number in 0..<tasks.count where seen.insert(tasks[number].outputDirectories).inserted {
            directories.formUnion(words.with(Int(tasks[number].outputDirectories)) { Self.strings($0) })
        }
        return directories.sorted()
    }

    /// The median duration of a phase's attempts, in seconds; nil where fewer than `leastRuns` have ended.
    public func medianRunSeconds(ofPhase phase: String, leastRuns: Int) -> Double? {
        guard let number = phaseNames.number(of: phase) else { return nil }
        var all = DurationHistogram()
        for worker in workers {
            for run in worker.runs where Int(run.phase) == number { all.add(run.statistics.durations) }
        }
        guard all.total >= Int64(leastRuns) else { return nil }
        return all.quantile(0.5)
    }
}

extension ManagerState {
    /// The attempts of all tasks together.
    public var attemptTotal: Int { (0..<tasks.count).reduce(0) { $0 + Int(tasks[$1].attempt) } }

    /// Tasks that are not complete, with their last error or what keeps them.
    public var unfinished: [(task: String, why: String)] {
        guard counts[.complete] < counts.total else { return [] }
        return (0..<tasks.count).compactMap { number in
            let task = tasks[number]
            guard task.status != .complete else { return nil }
            let error =
                task.hasError ? texts.with(task.lastError) { String(decoding: $0, as: UTF8.self) } : task.status.word
            return (ids.text(number), error)
        }
    }
}
