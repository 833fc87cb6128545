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
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let wanted = Array(task.utf8)
            let json = json
            let lines = try await onThread(named: "history") {
                Result { () throws(JournalError) in
                    var painter = EventPainter(hasColours: Terminal.hasColours)
                    return try TaskHistory.lines(of: wanted, in: data.journal, moment) { line, last in
                        if json { return Array(line.bytes) }
                        return Array(Self.text(line, since: last, &painter).utf8)
                    }
                }
            }.get()
            guard !lines.isEmpty else { throw VerbFailure("there is no task \(task) in the journal", status: 1) }
            for line in lines { Terminal.write(line + [10]) }
        }
    }

    private static func text(_ line: LogLine, since last: LogTime?, _ painter: inout EventPainter) -> String {
        let event: EventView
        do throws(EventError) { event = try EventView(line.body) } catch { return "\(line.position): \(error)" }
        let since = last.map { "  (+\(EventPainter.duration(line.time.seconds(since: $0))))" } ?? ""
        return painter.line(line, event) + since
    }
}

/// The events of one task.
enum TaskHistory {
    /// What `show` makes of each event up to a moment, given the time of the one before; oldest first.
    static func lines<Shown>(
        of task: [UInt8], in journal: JournalDirectory, _ moment: Moment,
        _ show: (LogLine, LogTime?) -> Shown
    ) throws(JournalError) -> [Shown] {
        var found: [Shown] = []
        var last: LogTime?
        try LogReader(journal, prefetching: true).forEach { line throws(JournalError) in
            guard moment.reaches(line) else { return false }
            let event: EventView
            do throws(EventError) { event = try EventView(line.body) } catch { return true }
            guard event.kind != .note, event.task.elementsEqual(task) else { return true }
            found.append(show(line, last))
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
