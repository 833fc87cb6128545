import ArgumentParser
import EventLog
import Projections

/// `manager tail`: the event log, as it is and as it grows.
struct TailCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tail", abstract: "Show the event log's end; follow it with -f.",
        discussion: """
            Reads the data directory, or a copy of it; with --url a running manager, and -f goes on when that one was away.

            Examples:
              manager tail -f --type failed --json | jq .error
              manager tail --since 2h --phase exp1
              manager tail -f --url http://node1:5080
            """)

    @Option(name: .short, help: "The number of events at the end (10; with --from or --since: all).") var n: Int?
    @Flag(name: .short, help: "Follow: show what comes, until interrupted.") var follow = false
    @Option(help: "Events from this seq on.") var from: UInt64?
    @Option(parsing: .unconditional, help: "Events not before this time: ISO 8601, -90m, or 2h (ago).")
    var since: String?
    @Option(help: "Only events of this type; repeatable.") var type: [String] = []
    @Option(help: "Only events of tasks of this phase.") var phase: String?
    @Option(help: "Only events of this task.") var task: String?
    @Option(help: "Only events of this worker.") var worker: String?
    @Flag(help: "The journal's own lines.") var json = false
    @Option(help: "Ask the manager at http://HOST:PORT instead of reading a directory.") var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func validate() throws {
        if let n, n < 0 { throw ValidationError("-n \(n) is negative") }
        if follow, momentOptions.isGiven {
            throw ValidationError("-f shows what comes; --at and --seq a moment that does not change")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            if let problem = EventTypes.problem(type) { throw ValidationError("--type: \(problem)") }
            var filter = EventFilter()
            filter.types = Set(type)
            filter.task = task.map { Array($0.utf8) }
            filter.worker = worker.map { Array($0.utf8) }
            if let since {
                do { filter.since = try MomentText.since(since, now: LogTime.now()) } catch {
                    throw ValidationError("--since: \(error)")
                }
            }
            let last = n ?? (from != nil || since != nil ? nil : 10)
            let printer = EventPrinter(json: json)
            if let url, let manager = try NamedManager.find(url, ca: ca) {
                let tail = RemoteTail(
                    client: try ManagerClient(manager), filter: filter, phase: phase, last: last, from: from ?? 1,
                    at: momentOptions.at, seq: momentOptions.seq, printer: printer)
                return try await tail.run(follows: follow)
            }
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let (phase, follows) = (phase, follow)
            let from = LogPosition(max(1, from ?? 1))
            try await onThread(named: "tail") { [filter] in
                Result {
                    var filter = filter
                    if let phase { filter.phase = PhaseFilter(phase, try MomentReader(data).state(at: .now).state) }
                    let reader = MomentReader(data)
                    try Terminal.warnBeyond(moment, reader)
                    let tail = Tail(
                        journal: data.journal, filter: filter, last: last, from: from,
                        limit: try reader.limit(of: moment), printer: printer)
                    try tail.run(follows: follows)
                }
            }.get()
        }
    }
}

/// Makes the text of an event: the journal's own line, or one for people.
struct EventPrinter: Sendable {
    let json: Bool
    private let hasColours = Terminal.hasColours

    init(json: Bool) { self.json = json }

    /// The line with its end.
    func text(_ line: LogLine, _ event: EventView) -> [UInt8] {
        if json { return Array(line.bytes) + [10] }
        var painter = EventPainter(hasColours: hasColours)
        return Array(painter.line(line, event).utf8) + [10]
    }
}

/// Prints the log's end, then what comes.
struct Tail: Sendable {
    let journal: JournalDirectory
    let filter: EventFilter
    /// How many events of those that are there; nil: all.
    let last: Int?
    let from: LogPosition
    /// The last event that is shown.
    let limit: LogPosition
    let printer: EventPrinter

    /// Blocks until the end, or for ever when it follows.
    func run(follows: Bool) throws(JournalError) {
        var start = from
        if let since = filter.since {
            let before = try journal.lastPosition(notAfter: LogTime(microseconds: since.microseconds - 1))
            start = max(start, before.next)
        }
        var next = start
        var isEmpty = true
        if let last {
            let end = try end(last, from: start)
            for text in end.texts { Terminal.write(text) }
            isEmpty = end.texts.isEmpty && last > 0
            next = max(end.next, start)
        } else {
            next = try read(from: start, upTo: limit) { text in
                isEmpty = false
                Terminal.write(text)
            }
        }
        guard follows else {
            if isEmpty, let names = filter.names { Terminal.complain("manager: there is no such event of \(names)") }
            return
        }
        let waiter = JournalWatch(journal)
        while true {
            let sight = waiter.look()
            next = try read(from: next, upTo: limit) { Terminal.write($0) }
            waiter.wait(atMost: 1, since: sight)
        }
    }

    /// The last events that are meant, and the position behind all that is there: reads from the newest file backwards.
    private func end(_ count: Int, from start: LogPosition) throws(JournalError) -> (
        texts: [[UInt8]], next: LogPosition
    ) {
        var found: [[UInt8]] = []
        var next: LogPosition?
        var end = limit
        for name in try journal.segments().reversed() where name.first <= end {
            var texts: [[UInt8]] = []
            var first = 0
            let read = try read(from: max(name.first, start), upTo: end) { text in
                texts.append(text)
                if texts.count - first > count { first += 1 }
                if first > 4096 {
                    texts.removeFirst(first)
                    first = 0
                }
            }
            next = next ?? read
            found = texts[first...] + found
            end = name.first.previous
            if found.count >= count || name.first <= start { break }
        }
        return (Array(found.suffix(count)), next ?? start)
    }

    /// Shows events from a position; returns the next position.
    private func read(
        from start: LogPosition, upTo end: LogPosition, _ show: ([UInt8]) -> Void
    ) throws(JournalError) -> LogPosition {
        var next = start
        try LogReader(journal, from: start).forEach { line throws(JournalError) in
            guard line.position <= end else { return false }
            next = line.position.next
            let event: EventView
            do throws(EventError) { event = try EventView(line) } catch { throw Replay.unfoldable(line, error) }
            if filter.shows(line, event) { show(printer.text(line, event)) }
            return true
        }
        return next
    }
}
