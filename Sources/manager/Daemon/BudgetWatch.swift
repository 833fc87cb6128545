import EventLog
import Projections

/// Keeps a running manager's journal within its budget: looks after each sealed segment, and once a minute.
struct BudgetWatch {
    private let budget: DiskBudget
    private let data: DataDirectory
    private let processor: CommandProcessor
    private var next: ContinuousClock.Instant?
    private var seals: UInt64 = 0
    /// What was warned of last, so that it is said once.
    private var warned: String?

    init(_ budget: DiskBudget, _ data: DataDirectory, _ processor: CommandProcessor) {
        self.budget = budget
        self.data = data
        self.processor = processor
    }

    /// Looks where it is time to, and acts. What was done, or is to be warned of; nil where nothing is.
    mutating func look(_ now: ContinuousClock.Instant) async -> String? {
        guard budget.mostBytes != nil || budget.keepSeconds != nil else { return nil }
        let sealed = processor.writer.sealedSegments
        guard sealed != seals || next.map({ now >= $0 }) ?? true else { return nil }
        next = now + .seconds(60)
        seals = sealed
        let (budget, data, processor) = (budget, data, processor)
        let outcome = await onThread(named: "budget") { Result { try Self.act(budget, data, processor) } }
        let problem: String?
        switch outcome {
        case .success(.problem(let words)): problem = words
        case .success(.done(let words)):
            warned = nil
            return words
        case .success(nil): problem = nil
        case .failure(let error): problem = "the journal was not brought within its budget: \(error)"
        }
        let kind = problem.map { String($0.filter { !$0.isNumber }) }
        defer { warned = kind }
        return kind == warned ? nil : problem
    }

    private enum Outcome: Sendable { case problem(String), done(String) }

    private static func act(_ budget: DiskBudget, _ data: DataDirectory, _ processor: CommandProcessor) throws
        -> Outcome?
    {
        guard let excess = try budget.excess(data, now: LogTime.now()) else { return nil }
        guard let discarding = budget.discarding(excess, data) else {
            return .problem(
                excess.words + "; 'manager compact --discard-before TIME [--archive DIR]' takes the oldest away")
        }
        if let newest = try data.journal.baselines().last, case let path = data.journal.baselinePath(newest),
            let baseline = try data.fileSystem.metadata(path)?.sizeBytes, baseline >= excess.bytes
        {
            // What is only old waits until it is more.
            guard excess.isTooMuch else { return nil }
            return .problem(
                excess.words + ", but the baseline that a discarding leaves for good takes as much (the newest has "
                    + "\(baseline) bytes) as the \(excess.bytes) bytes that would go: nothing is discarded. Allow more")
        }
        // A segment that is sealed here would be looked at again at once: only what is sealed already goes.
        let done = try discarding.run(processor, sealing: false, actor: "budget")
        guard let last = done.plan.last else { return .problem(excess.words + ", but no whole segment can go") }
        let fate = done.archive.map { "were moved to \($0)" } ?? "were dropped"
        return .done(
            excess.words + ": \(done.plan.events) events in \(done.plan.segments.count) segments \(fate); history "
                + "begins behind seq \(last)")
    }
}
