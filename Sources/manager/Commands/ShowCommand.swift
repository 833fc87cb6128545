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
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let (id, json, hasColours) = (task, json, Terminal.hasColours)
            let text = try await onThread(named: "show") {
                Result { try Self.text(id, moment, data, json: json, hasColours: hasColours) }
            }.get()
            guard let text else { throw VerbFailure("there is no task \(id)", status: 1) }
            Terminal.write(text)
        }
    }

    /// Nil: no such task then.
    private static func text(
        _ id: String, _ moment: Moment, _ data: DataDirectory, json: Bool, hasColours: Bool
    ) throws -> [UInt8]? {
        let reader = MomentReader(data)
        try Terminal.warnBeyond(moment, reader)
        if json { return try reader.taskJSON(id, at: moment).map { $0 + [10] } }
        guard let found = try reader.task(id, at: moment) else { return nil }
        var history = AttemptHistory(from: found.beginning)
        let begins = found.beginning?.position ?? .zero
        try found.events.forEach { line, _ in
            guard line.position > begins else { return }
            do throws(EventError) { try history.apply(line.body, at: line.time) } catch {
                throw VerbFailure("\(error)", status: 1)
            }
        }
        var awaited: [String] = []
        if found.state.hasGate(found.number), found.state.taskLine(found.number).status == .pending {
            let state = try reader.state(at: .position(found.limit)).state
            awaited = state.taskNumber(id).map { state.awaitedPhases($0) } ?? []
        }
        let sheet = TaskSheet(
            state: found.state, number: found.number, history: history, awaited: awaited, beginning: found.beginning)
        return Array(sheet.text(hasColours).utf8)
    }
}

/// The text of `show`.
struct TaskSheet {
    let state: ManagerState
    let number: Int
    let history: AttemptHistory
    /// The phases that it waits for.
    let awaited: [String]
    /// What is known from before its events, where history was discarded.
    var beginning: TaskBeginning?

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
        if !awaited.isEmpty { line("waits for", awaited.joined(separator: ", ")) }
        line("config", String(decoding: task.config, as: UTF8.self))
        line("seed", String(decoding: context?.seed ?? [], as: UTF8.self))
        line("output", (context?.directories ?? []).joined(separator: ", "))
        if task.priority != 0 { line("priority", "\(task.priority)") }
        line("retries", "\(task.retryCount)")
        if let error = task.lastError { line("last error", error.replacing("\n", with: "\n              ")) }
        if let beginning {
            line("history", "\(beginning.history.what); earlier attempts are told as the state there has them")
        }
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
        line("end", record.end.map { record.endedBeforeImport ? "before the import at \($0)" : "\($0)" })
        line(
            "outcome",
            record.outcome + (record.act.map { " (\($0))" } ?? "") + (record.isLate ? " (late)" : "")
                + (record.via == "csv" ? " (by a row)" : ""))
        line("duration", (record.provenance.durationSeconds ?? record.seconds).map { EventPainter.duration($0) })
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
