import ArgumentParser
import EventLog
import Projections

/// `manager tail`: the event log, as it is and as it grows.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Show the event log's end; follow it with -f.",
        discussion: "Example: manager tail -f --type failed --json | jq .error")

    @Option(name: .short, help: "The number of events at the end (10; with --from or --since: all).") var n: Int?
    @Flag(name: .short, help: "Follow: show what comes, until interrupted.") var follow = false
    @Option(help: "Events from this seq on.") var from: UInt64?
    @Option(parsing: .unconditional, help: "Events not before this time.") var since: String?
    @Option(help: "Only events of this type; repeatable.") var type: [String] = []
    @Option(help: "Only events of this task.") var task: String?
    @Option(help: "Only events of this worker.") var worker: String?
    @Flag(help: "The journal's own lines.") var json = false
    @OptionGroup var dataOptions: DataOptions

    func run() async throws {
        try await Terminal.ending {
            if let n, n < 0 { throw ValidationError("-n \(n) is negative") }
            if let problem = EventTypes.problem(type) { throw ValidationError("--type: \(problem)") }
            let data = try dataOptions.forReading()
            var filter = EventFilter()
            filter.types = Set(type)
            filter.task = task.map { Array($0.utf8) }
            filter.worker = worker.map { Array($0.utf8) }
            if let since {
                do { filter.since = try MomentText.time(since, now: LogTime.now()) } catch {
                    throw ValidationError("\(error)")
                }
            }
            let bounded = from != nil || since != nil
            let options = Tail(
                journal: data.journal, filter: filter, last: n ?? (bounded ? nil : 10), from: LogPosition(from ?? 1),
                json: json, follows: follow)
            try await onThread(named: "tail") { Result { try options.run() } }.get()
        }
    }
}

/// Which events are shown.
struct EventFilter: Sendable {
    var types: Set<String> = []
    var task: [UInt8]?
    var worker: [UInt8]?
    var since: LogTime?

    /// Whether an event is shown.
    func shows(_ line: LogLine, _ event: EventView) -> Bool {
        if let since, line.time < since { return false }
        if !types.isEmpty, !types.contains(String(decoding: event.type, as: UTF8.self)) { return false }
        if let task, !event.task.elementsEqual(task) { return false }
        if let worker, event.worker.map({ !$0.elementsEqual(worker) }) ?? true { return false }
        return true
    }
}

/// Prints the log's end, then what comes.
struct Tail: Sendable {
    let journal: JournalDirectory
    let filter: EventFilter
    let last: Int?
    let from: LogPosition
    let json: Bool
    let follows: Bool

    /// Blocks until the end, or for ever when it follows.
    func run() throws(JournalError) {
        var next = from
        var kept: [[UInt8]] = []
        var first = 0
        next = try read(from: next) { text in
            guard let last else { return Terminal.write(text) }
            kept.append(text)
            if kept.count - first > last { first += 1 }
            if first > 4096 {
                kept.removeFirst(first)
                first = 0
            }
        }
        for text in kept[first...] { Terminal.write(text) }
        guard follows else { return }
        let waiter = JournalWatch(journal)
        while true {
            waiter.wait()
            next = try read(from: next) { Terminal.write($0) }
        }
    }

    /// Shows events from a position; returns the next position.
    private func read(from start: LogPosition, _ show: ([UInt8]) -> Void) throws(JournalError) -> LogPosition {
        var painter = EventPainter(hasColours: Terminal.hasColours && !json)
        var next = start
        try LogReader(journal, from: start).forEach { line throws(JournalError) in
            next = line.position.next
            let event: EventView
            do throws(EventError) { event = try EventView(line.body) } catch {
                throw .damage(
                    JournalDamage(kind: .header, file: "", position: line.position, detail: error.description))
            }
            guard filter.shows(line, event) else { return true }
            show((json ? Array(line.bytes) : Array(painter.line(line, event).utf8)) + [10])
            return true
        }
        return next
    }
}
