import ArgumentParser
import EventLog
import Foundation
import Projections

/// Which tasks an acting verb means, and whether it asks first.
struct OperationOptions: ParsableArguments {
    @Argument(help: "Tasks' ids.") var tasks: [String] = []
    @Option(help: "All tasks of this phase to which it applies.") var phase: String?
    @Option(help: "All tasks with this status to which it applies; with --phase: of that phase.") var status: String?
    @Flag(help: "Only say how many tasks would change.") var dryRun = false
    @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
    @Flag(help: "One JSON object: {\"count\":N}.") var json = false
    @OptionGroup var acting: ActingOptions

    /// What is meant, given the ids. Throws a usage error where that is nothing, or two things.
    private func target(_ ids: [String]) throws -> ManagerState.OperationTarget {
        if ids.isEmpty, phase == nil, status == nil {
            throw ValidationError("name tasks, or --phase or --status")
        }
        guard ids.isEmpty else {
            if phase != nil || status != nil {
                throw ValidationError("name tasks, or --phase and --status, not both")
            }
            return .ids(ids)
        }
        var filter = TaskFilter()
        filter.phase = phase
        if let status {
            guard let known = TaskStatus(word: status) else {
                throw ValidationError("--status \(status) is none: \(TaskStatus.words)")
            }
            filter.statuses = [known]
        }
        return .matching(filter)
    }

    /// Shows how many tasks it is, asks on a terminal, does it.
    func carryOut(_ operation: ManagerState.Operation, _ ids: [String], priority: Int = 0) async throws {
        try await Terminal.ending {
            var request = OperationRequest(operation, on: try target(ids))
            request.priority = priority
            if dryRun {
                request.isDryRun = true
                return report(try await dryCount(request), operation)
            }
            let actor = try await acting.actor()
            let count: Int?
            do { count = try await Self.act(request, actor, asks: !yes && ids.count != 1) } catch {
                try await actor.close()
                throw error
            }
            try await actor.close()
            guard let count else { throw VerbFailure("nothing was changed", status: 1) }
            report(count, operation)
        }
    }

    /// Nil: it was not confirmed.
    private static func act(_ request: OperationRequest, _ actor: any TaskActor, asks: Bool) async throws -> Int? {
        if asks {
            var dry = request
            dry.isDryRun = true
            let count = try await actor.operate(dry)
            if count > 0,
                !Terminal.confirms(
                    "\(request.operation.rawValue): \(count) \(count == 1 ? "task" : "tasks") will change")
            {
                return nil
            }
        }
        return try await actor.operate(request)
    }

    /// Counts without writing: on a directory without taking its lock.
    private func dryCount(_ request: OperationRequest) async throws -> Int {
        if let named = try acting.named() {
            return try await RemoteActor(client: try ManagerClient(named)).operate(request)
        }
        let data = try acting.dataOptions.forReading()
        let state = try await onThread(named: "replay") { Result { try MomentReader(data).state(at: .now) } }.get()
            .state
        return try state.decide(request.operation, on: request.target, priority: request.priority).count
    }

    private func report(_ count: Int, _ operation: ManagerState.Operation) {
        if json { return Terminal.write("{\"count\":\(count)}\n") }
        let tasks = count == 1 ? "1 task" : "\(count) tasks"
        Terminal.write(
            dryRun ? "\(operation.rawValue): \(tasks) would change\n" : "\(operation.rawValue): \(tasks) changed\n")
    }
}

/// `manager cancel`: tasks that shall not run, or not go on.
struct CancelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Cancel pending, assigned, held and failed tasks; running programs are stopped.",
        discussion: "Example: manager cancel --phase exp2 --status pending --dry-run")
    @OptionGroup var options: OperationOptions
    func run() async throws { try await options.carryOut(.cancel, options.tasks) }
}

/// `manager hold`: pending tasks that shall wait.
struct HoldCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Hold pending tasks: nobody gets them until they are released.",
        discussion: "Example: manager hold --phase exp2")
    @OptionGroup var options: OperationOptions
    func run() async throws { try await options.carryOut(.hold, options.tasks) }
}

/// `manager release`: held tasks that may go on.
struct ReleaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "release", abstract: "Release held tasks.", discussion: "Example: manager release --status held")
    @OptionGroup var options: OperationOptions
    func run() async throws { try await options.carryOut(.release, options.tasks) }
}

/// `manager retry`: failed and cancelled tasks that shall run again.
struct RetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry", abstract: "Run failed and cancelled tasks again, with all their retries.",
        discussion: "Example: manager retry --status failed --yes")
    @OptionGroup var options: OperationOptions
    func run() async throws { try await options.carryOut(.retry, options.tasks) }
}

/// `manager requeue`: tasks that shall run again whatever became of them.
struct RequeueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue", abstract: "Run tasks again: assigned, failed, cancelled and complete ones.",
        discussion: "Example: manager requeue exp1_0_42 exp1_1_42")
    @OptionGroup var options: OperationOptions
    func run() async throws { try await options.carryOut(.requeue, options.tasks) }
}

/// `manager priority`: what is claimed first.
struct PriorityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "priority", abstract: "Set the priority of tasks: higher is claimed first.",
        discussion: """
            The number stands before the tasks, or behind --priority.

            Examples:
              manager priority 10 exp1_0_42 exp1_1_42
              manager priority -5 exp1_2_42
              manager priority --priority=-5 --phase exp2
            """)

    /// The arguments with a negative number as `--priority=-5`: by itself it would be taken for an option.
    static func withOption(_ arguments: [String]) -> [String] {
        var arguments = arguments
        let end = arguments.firstIndex(of: "--") ?? arguments.endIndex
        for place in arguments[..<end].indices.dropFirst() where arguments[place - 1] != "--priority" {
            let digits = arguments[place].dropFirst()
            guard arguments[place].hasPrefix("-"), !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber })
            else { continue }
            arguments[place] = "--priority=\(arguments[place])"
            break
        }
        return arguments
    }

    @Option(parsing: .unconditional, help: "The priority, a whole number (0: the usual one).") var priority: Int?
    @OptionGroup var options: OperationOptions

    func run() async throws {
        var ids = options.tasks
        var wanted = priority
        if wanted == nil, let first = ids.first.flatMap({ Int($0) }) {
            wanted = first
            ids.removeFirst()
        } else if wanted == nil, let last = ids.last.flatMap({ Int($0) }) {
            wanted = last
            ids.removeLast()
        }
        guard let wanted else {
            throw ValidationError(
                "the priority is missing: a whole number comes first or last, as in manager priority 10 TASK …"
            )
        }
        try await options.carryOut(.priority, ids, priority: wanted)
    }
}
