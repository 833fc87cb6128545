import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager show TASK`: one task with all its attempts.
struct ShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one task: config, status, every attempt with its program and its end.",
        discussion: "Example: manager show label_flip_0_42 --json | jq .config")

    @Argument(help: "The task's id.") var task: String
    @Flag(help: "One JSON object, as in manager_state.json.") var json = false
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            let state = try await momentOptions.state(dataOptions).state
            guard let number = state.taskNumber(task), let object = state.taskJSON(task) else {
                throw VerbFailure("there is no task \(task)", status: 1)
            }
            if json { return Terminal.write(object + [10]) }
            let (id, journal) = (Array(task.utf8), dataOptions.data.journal)
            // No later than the state, so that both tell of the same moment.
            let position = state.position
            let history = try await onThread(named: "history") {
                Result { try Self.history(of: id, in: journal, upTo: position) }
            }.get()
            Terminal.write(TaskSheet(state: state, number: number, history: history).text(Terminal.hasColours))
        }
    }

    private static func history(
        of task: [UInt8], in journal: JournalDirectory, upTo position: LogPosition
    ) throws -> AttemptHistory {
        var history = AttemptHistory()
        var failure: EventError?
        _ = try TaskHistory.lines(of: task, in: journal, .position(position)) { line, _ in
            do throws(EventError) { try history.apply(line.body, at: line.time) } catch { failure = error }
        }
        if let failure { throw VerbFailure("\(failure)", status: 1) }
        return history
    }
}

/// The text of `show`.
struct TaskSheet {
    let state: ManagerState
    let number: Int
    let history: AttemptHistory

    /// Label and value a line, then the attempts.
    func text(_ hasColours: Bool) -> String {
        let task = state.taskLine(number)
        let context = state.resultContext(of: task.id)
        var text = ""
        func line(_ label: String, _ value: String, colour: Int? = nil) {
            let shown = hasColours ? colour.map { "\u{1B}[\($0)m\(value)\u{1B}[0m" } ?? value : value
            text += label + String(repeating: " ", count: max(1, 14 - label.count)) + shown + "\n"
        }
        line("task", task.id)
        line("phase", task.phase)
        line("status", task.status.word, colour: ListTable.colour(task.status.word))
        if let reason = task.reason { line("reason", reason) }
        let awaited = task.status == .pending ? state.awaitedPhases(number) : []
        if !awaited.isEmpty { line("waits for", awaited.joined(separator: ", ")) }
        line("config", String(decoding: task.config, as: UTF8.self))
        line("seed", String(decoding: context?.seed ?? [], as: UTF8.self))
        line("output", (context?.directories ?? []).joined(separator: ", "))
        if task.priority != 0 { line("priority", "\(task.priority)") }
        line("retries", "\(task.retryCount)")
        if let error = task.lastError { line("last error", error.replacing("\n", with: "\n              ")) }
        for record in history.attempts { text += "\n" + attempt(record) }
        return text
    }

    private func attempt(_ record: AttemptRecord) -> String {
        var text = record.attempt == 0 ? "never assigned\n" : "attempt \(record.attempt)\n"
        func line(_ label: String, _ value: String?) {
            guard let value else { return }
            text += "  " + label + String(repeating: " ", count: max(1, 12 - label.count)) + value + "\n"
        }
        line("worker", record.worker)
        line("start", record.start.map { "\($0)" })
        line("end", record.end.map { "\($0)" })
        line("outcome", record.outcome + (record.isLate ? " (late)" : "") + (record.via == "csv" ? " (by a row)" : ""))
        let seconds =
            record.provenance.durationSeconds
            ?? record.start.flatMap { start in record.end.map { $0.seconds(since: start) } }
        line("duration", seconds.map { EventPainter.duration($0) })
        line("host", record.provenance.host)
        line("gpu", record.gpu.map { "\($0)" })
        line("program", record.provenance.program)
        line("exit code", record.provenance.exitCode.map { "\($0)" })
        line("signal", record.provenance.signal.map { "\($0)" })
        line("max rss", record.provenance.maxRSSBytes.map { "\(ManagerState.oneDecimal(Double($0) / 1_048_576)) MiB" })
        line("error", record.error?.replacing("\n", with: "\n              "))
        line("result", record.result.map { String(decoding: $0, as: UTF8.self) })
        return text
    }
}
