import ArgumentParser
import EventLog
import Projections

/// `manager history TASK`: every event of one task.
struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show every event of one task: who asked, how long each state lasted, where the time went.",
        discussion: "Example: manager history label_flip_0_42")

    @Argument(help: "The task's id.") var task: String
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions
    @Flag(help: "The journal's own lines.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let id = task
            let found = try await onThread(named: "history") {
                Result { () throws(JournalError) in
                    let reader = MomentReader(data)
                    let found = try reader.taskEvents(id, at: moment)
                    return (
                        lines: found.events.lines, beginning: found.beginning, end: try reader.endBefore(moment),
                        clock: try reader.clock(of: moment)
                    )
                }
            }.get()
            guard !found.lines.isEmpty || found.beginning != nil else {
                throw VerbFailure(
                    "there is no task \(id) in the journal\(momentOptions.isGiven ? " up to that moment" : "")",
                    status: 1)
            }
            if let end = found.end { Terminal.warnBeyond(true, end) }
            if json {
                if let beginning = found.beginning {
                    Terminal.complain("manager: earlier events are gone: \(BeginningText.sentence(beginning))")
                }
                for line in found.lines { Terminal.write(line + [10]) }
                return
            }
            let story: TaskStory
            do { story = try TaskStory(found.lines, from: found.beginning, now: found.clock) } catch {
                throw VerbFailure("\(error)", status: 1)
            }
            let beginning = story.beginning.map { BeginningText.sentence($0) + "\n\n" } ?? ""
            let table = HistoryText.table(story).forStandardOutput
            Terminal.write(beginning + table + "\n" + HistoryText.totals(story) + "\n")
        }
    }
}

/// The text of `history`.
enum HistoryText {
    /// A line an event.
    static func table(_ story: TaskStory) -> ListTable {
        var table = ListTable([
            .init(title: "time"), .init(title: "seq", isRight: true), .init(title: "event"),
            .init(title: "attempt", isRight: true), .init(title: "worker"), .init(title: "by"), .init(title: "then"),
            .init(title: "note", canShrink: true),
        ])
        for step in story.steps {
            let time = step.time.description.dropLast(4).replacing("T", with: " ")
            table.add([
                .init(String(time), colour: 2), .init("\(step.position)", colour: 2),
                .init(step.type, colour: EventPainter.code(step.type)),
                .init(step.attempt > 0 ? "\(step.attempt)" : ""), .init(step.worker ?? ""), .init(step.actor ?? ""),
                .init(then(step), colour: ListTable.colour(step.status.word)), .init(note(step)),
            ])
        }
        return table
    }

    private static func then(_ step: TaskStory.Step) -> String {
        guard step.isMove else { return "" }
        guard let seconds = step.seconds else { return step.status.word }
        let more = step.beganEarlier ? " or more" : ""
        return "\(step.status.word) \(EventPainter.duration(seconds))\(more)\(step.goesOn ? " so far" : "")"
    }

    private static func note(_ step: TaskStory.Step) -> String {
        if let error = step.error { return String(error.split(separator: "\n").last ?? "") }
        if let silence = step.silence { return "\(step.reason ?? "") (\(WhyText.silence(silence)))" }
        if let reason = step.reason { return reason }
        if let result = step.result { return result }
        if step.endedBeforeImport { return "before the import" }
        if step.type == "prioritised" { return "priority \(step.priority)" }
        return step.phase.map { "phase \($0)" } ?? ""
    }

    /// One line: how often it ran, and where the time went.
    static func totals(_ story: TaskStory) -> String {
        let totals = story.totals
        var parts = ["waiting \(EventPainter.duration(totals.waiting))"]
        if totals.held > 0 { parts.append("held \(EventPainter.duration(totals.held))") }
        parts.append("running \(EventPainter.duration(totals.running))")
        var text =
            "\(totals.attempts) \(totals.attempts == 1 ? "attempt" : "attempts"): " + parts.joined(separator: ", ")
        if totals.wastedAttempts > 0 {
            text +=
                ", of which \(EventPainter.duration(totals.wasted)) wasted in \(totals.wastedAttempts) failed or lost"
        }
        if totals.untimedAttempts > 0 {
            text += "; how long \(totals.untimedAttempts) ran that ended before the import is not known"
        }
        if let beginning = story.beginning { text += "; waiting is counted from seq \(beginning.position) on" }
        return text
    }
}
