import ArgumentParser
import EventLog
import Projections

/// `manager history TASK`: every event of one task.
struct HistoryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history", abstract: "Show every event of one task, with the time between them.",
        discussion: "Example: manager history label_flip_0_42")

    @Argument(help: "The task's id.") var task: String
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions
    @Flag(help: "The journal's own lines.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.existing()
            let moment = try momentOptions.moment()
            let wanted = Array(task.utf8)
            let json = json
            let lines = try await onThread(named: "history") {
                Result { try Self.lines(of: wanted, in: data.journal, moment, json: json) }
            }.get()
            guard !lines.isEmpty else { throw VerbFailure("there is no task \(task) in the journal", status: 1) }
            for line in lines { Terminal.write(line + [10]) }
        }
    }

    private static func lines(
        of task: [UInt8], in journal: JournalDirectory, _ moment: Moment, json: Bool
    ) throws(JournalError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var last: LogTime?
        var painter = EventPainter(hasColours: Terminal.hasColours)
        try LogReader(journal, prefetching: true).forEach { line throws(JournalError) in
            guard moment.reaches(line) else { return false }
            let event: EventView
            do throws(EventError) { event = try EventView(line.body) } catch { return true }
            guard event.kind != .note, event.task.elementsEqual(task) else { return true }
            if json {
                found.append(Array(line.bytes))
            } else {
                let since = last.map { EventPainter.duration(line.time.seconds(since: $0)) } ?? ""
                found.append(Array((painter.line(line, event) + (since.isEmpty ? "" : "  (+\(since))")).utf8))
            }
            last = line.time
            return true
        }
        return found
    }
}

extension Moment {
    /// Whether an event belongs to what was before or at the moment.
    func reaches(_ line: LogLine) -> Bool {
        switch self {
        case .now: true
        case .time(let time): line.time <= time
        case .position(let position): line.position <= position
        }
    }
}
