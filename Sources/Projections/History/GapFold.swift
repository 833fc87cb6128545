import EventLog

/// The fold over a journal that may have gaps: beside the state it tells which tasks a gap leaves in doubt.
///
/// Behind a gap, the first event that changes a task's status is compared with the status that the task had before it.
/// Where it does not fit, something is missing that cannot be known. Notes of a repair settle the gaps that they name.
public struct GapFold: Sendable {
    /// What a repair, or the start after one, still has to write.
    public struct Unsettled: Sendable, Equatable {
        /// Gaps that no note tells of.
        public var gaps: [RepairNotes.Gap] = []
        /// Tasks whose next event did not fit: to be held.
        public var doubtful: [String] = []
        /// Tasks that only events behind a gap name: what they are is lost.
        public var lost: [String] = []

        /// Nothing.
        public init() {}
    }

    /// The reason of `held` for a task that a gap leaves in doubt.
    public static let reason = "journal_gap"

    private struct OpenGap {
        var gap: RepairNotes.Gap
        var judged: Set<Int> = []
        var doubtful: [Int] = []
        var lost: [String] = []
        var lostNames: Set<String> = []
    }

    /// The state so far.
    public private(set) var state: ManagerState
    private var open: [OpenGap] = []
    private var notes = RepairNotes()

    /// Begins with a state.
    public init(_ base: ManagerState) { state = base }

    /// Folds the next event; `event` is read from `line`.
    public mutating func apply(_ event: EventView, _ line: LogLine) {
        if line.position > state.position.next { begin(through: line.position.previous) }
        if !open.isEmpty {
            if event.kind == .note { settle(line) } else { judge(event) }
        }
        state.apply(event, at: line.position, time: line.time, crc: line.crc)
    }

    /// What is open when the journal ends at `last`, which may be the end of a gap.
    public mutating func finish(at last: LogPosition) -> Unsettled {
        if last > state.position { begin(through: last) }
        var unsettled = Unsettled()
        var seen: Set<Int> = []
        for gap in open {
            unsettled.gaps.append(gap.gap)
            unsettled.lost += gap.lost.filter { state.taskNumber($0) == nil && !unsettled.lost.contains($0) }
            for number in gap.doubtful where seen.insert(number).inserted && isInDoubt(number) {
                unsettled.doubtful.append(state.ids.text(number))
            }
        }
        return unsettled
    }

    /// An ending that stands behind the gap is certain, whatever came before it.
    private func isInDoubt(_ number: Int) -> Bool {
        let task = state.tasks[number]
        switch task.status {
        case .complete, .cancelled: return false
        case .held:
            return task.reason == TaskRecord.none
                || state.words.with(Int(task.reason)) { !$0.elementsEqual(Self.reason.utf8) }
        default: return true
        }
    }

    private mutating func begin(through last: LogPosition) {
        open.append(OpenGap(gap: RepairNotes.Gap(first: state.position.next, last: last)))
    }

    private mutating func settle(_ line: LogLine) {
        let before = notes.gaps.count
        notes.take(line)
        guard notes.gaps.count > before else { return }
        // A fold may have begun inside a gap: its end names it.
        let ends = Set(notes.gaps.map(\.last))
        open.removeAll { ends.contains($0.gap.last) }
    }

    private mutating func judge(_ event: EventView) {
        let newest = open.count - 1
        switch event.kind {
        case .started, .csvRead, .note, .extended, .prioritised: return
        default: break
        }
        guard let number = state.ids.number(of: event.task) else {
            guard event.kind != .added else { return }
            let name = String(decoding: event.task, as: UTF8.self)
            if open[newest].lostNames.insert(name).inserted { open[newest].lost.append(name) }
            return
        }
        guard open[newest].judged.insert(number).inserted else { return }
        if !fits(event, state.tasks[number].status) { open[newest].doubtful.append(number) }
    }

    /// Whether an event is one that a manager writes for a task of this status.
    private func fits(_ event: EventView, _ status: TaskStatus) -> Bool {
        switch event.kind {
        case .assigned, .held: status == .pending
        case .completed: status != .complete && status != .cancelled
        // An imported failure is of no attempt of this journal.
        case .failed: status == .assigned || (status == .pending && event.worker == nil)
        case .requeued:
            switch event.reason.flatMap({ RequeueReason(word: $0) }) {
            case .retry: status == .failed
            case .stale, .workerLost, .returned: status == .assigned
            case .operator, nil: status != .pending && status != .held
            }
        case .cancelled: status != .complete && status != .cancelled
        case .released: status == .held
        case .result: status == .complete
        default: false
        }
    }
}

extension ManagerState {
    /// Whether a later state knows every task of this one, in the same order.
    public func isBefore(_ later: ManagerState) -> Bool {
        guard tasks.count <= later.tasks.count else { return false }
        return (0..<tasks.count).allSatisfy { number in
            ids.text(number) == later.ids.text(number) && tasks[number].addedAt == later.tasks[number].addedAt
        }
    }
}
