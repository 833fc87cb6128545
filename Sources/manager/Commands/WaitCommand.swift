import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager wait`: until tasks are done.
struct WaitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until tasks are done: all, some, or a phase. 0 if all are complete, else 1.",
        discussion: """
            Done is what is not assigned and can not become claimable any more: a pending task that waits for a phase with
            a failed, cancelled or held task is done, and named.

            Example: manager wait --phase exp1 --timeout 2h && manager results --phase exp1 --csv
            """)

    @Argument(help: "Tasks' ids; none: all tasks.") var tasks: [String] = []
    @Option(help: "All tasks of this phase.") var phase: String?
    @Option(help: "Give up after so long, such as 2h.") var timeout: String?
    @OptionGroup var dataOptions: DataOptions

    func validate() throws {
        if !tasks.isEmpty, phase != nil { throw ValidationError("name tasks or a phase, not both") }
    }

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            var limit: Double?
            if let timeout {
                do { limit = try MomentText.duration(timeout, "--timeout").seconds } catch {
                    throw ValidationError("\(error)")
                }
            }
            let (ids, phase) = (tasks, phase)
            let end = limit.map { ContinuousClock.now + .milliseconds(Int64($0 * 1000)) }
            let ended = try await onThread(named: "wait") {
                Result { try Self.wait(data, ids, phase, until: end) }
            }.get()
            guard let ended else {
                throw VerbFailure(
                    "not done after \(timeout ?? "")\(timeout?.last?.isNumber == true ? "s" : "")", status: 1)
            }
            Terminal.write(ended.text)
            if !ended.isAllComplete { throw ExitCode(1) }
        }
    }

    private struct Ended: Sendable {
        var isAllComplete: Bool
        var text: String
    }

    /// Nil: the time is up.
    private static func wait(
        _ data: DataDirectory, _ ids: [String], _ phase: String?, until end: ContinuousClock.Instant?
    ) throws -> Ended? {
        var fold = try JournalFold(data)
        let unknown = ids.filter { fold.state.taskNumber($0) == nil }
        if let first = unknown.first { throw VerbFailure("there is no task \(first)", status: 1) }
        if let problem = fold.state.problem(withPhase: phase) { throw VerbFailure(problem, status: 1) }
        while true {
            let numbers = numbers(fold.state, ids, phase)
            if fold.state.isDone(numbers) { return ended(fold.state, numbers) }
            let left = end.map { ($0 - ContinuousClock.now).seconds }
            if let left, left <= 0 { return nil }
            try fold.advance(within: min(left ?? 10, 10))
        }
    }

    private static func numbers(_ state: ManagerState, _ ids: [String], _ phase: String?) -> [Int]? {
        if !ids.isEmpty { return ids.compactMap(state.taskNumber) }
        guard let phase else { return nil }
        var filter = TaskFilter()
        filter.phase = phase
        return state.tasks(matching: filter).numbers
    }

    private static func ended(_ state: ManagerState, _ numbers: [Int]?) -> Ended {
        let all = numbers ?? Array(0..<state.taskCount)
        let left = all.filter { state.taskLine($0).status != .complete }
        var text = "\(all.count - left.count)/\(all.count) complete\n"
        for number in left.prefix(20) {
            let task = state.taskLine(number)
            let awaited = task.status == .pending ? state.awaitedPhases(number) : []
            let why = awaited.isEmpty ? "" : ", waits for \(awaited.joined(separator: ", "))"
            text += "\(task.id): \(task.status.word)\(why)\n"
        }
        if left.count > 20 { text += "… and \(left.count - 20) more\n" }
        return Ended(isAllComplete: left.isEmpty, text: text)
    }
}
