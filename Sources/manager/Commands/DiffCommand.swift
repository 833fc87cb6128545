import ArgumentParser
import EventLog
import Projections

/// `manager diff TIME1 TIME2`: what happened between two moments.
struct DiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff", abstract: "Show which tasks were added, assigned, completed … between two moments.",
        discussion: """
            A moment is a time (ISO 8601, now, -90m) or a seq. What happened at the first moment itself is not shown, what
            happened at the second is.

            Examples:
              manager diff -2h now
              manager diff 100 200 --json | jq '.failed | length'
            """)

    @Argument(parsing: .allUnrecognized, help: "Two moments.") var moments: [String]
    @Flag(help: "One JSON object of lists of ids.") var json = false
    @OptionGroup var dataOptions: DataOptions

    func run() async throws {
        try await Terminal.ending {
            guard moments.count == 2 else { throw ValidationError("give two moments, such as -2h now") }
            let data = try dataOptions.forReading()
            let now = LogTime.now()
            let (first, second) = (try Self.moment(moments[0], now), try Self.moment(moments[1], now))
            if Self.isLater(first, than: second) { throw Self.wrongOrder(moments) }
            let changes = try await onThread(named: "diff") {
                Result { try Changes.between(first, second, in: data.journal) }
            }.get()
            guard let changes else { throw Self.wrongOrder(moments) }
            Terminal.write(json ? changes.json() : Array(changes.text().utf8))
        }
    }

    /// Whether one moment is later than another of the same kind; a time and a seq are compared by the journal.
    private static func isLater(_ first: Moment, than second: Moment) -> Bool {
        switch (first, second) {
        case (.time(let first), .time(let second)): first > second
        case (.position(let first), .position(let second)): first > second
        default: false
        }
    }

    private static func wrongOrder(_ moments: [String]) -> ValidationError {
        ValidationError("\(moments[0]) is later than \(moments[1]): name the earlier moment first")
    }

    private static func moment(_ text: String, _ now: LogTime) throws -> Moment {
        if let seq = UInt64(text) { return .position(LogPosition(seq)) }
        do { return .time(try MomentText.time(text, now: now)) } catch { throw ValidationError("\(error)") }
    }
}

/// The tasks that something happened to, by what it was; each once, in the order of its first such event.
struct Changes: Sendable {
    /// The kinds, in the order in which they are shown.
    static let kinds = ["added", "assigned", "completed", "failed", "requeued", "cancelled"]

    private var ids: [[String]] = Array(repeating: [], count: Changes.kinds.count)
    private var seen: [Set<String>] = Array(repeating: [], count: Changes.kinds.count)

    /// Reads the events after the first moment, up to the second. Nil: an event shows that the first is the later one.
    static func between(_ first: Moment, _ second: Moment, in journal: JournalDirectory) throws -> Changes? {
        var changes = Changes()
        var failure: EventError?
        var start = LogPosition(1)
        var isReversed = false
        if case .position(let position) = first { start = max(position, start) }
        try LogReader(journal, from: start, prefetching: true).forEach { line throws(JournalError) in
            guard second.reaches(line) else {
                isReversed = first.reaches(line)
                return false
            }
            guard !first.reaches(line) else { return true }
            do throws(EventError) { changes.note(try EventView(line.body)) } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw VerbFailure("\(failure)", status: 1) }
        return isReversed ? nil : changes
    }

    private mutating func note(_ event: EventView) {
        guard let kind = Self.kinds.firstIndex(of: String(decoding: event.type, as: UTF8.self)) else { return }
        let id = String(decoding: event.task, as: UTF8.self)
        if seen[kind].insert(id).inserted { ids[kind].append(id) }
    }

    /// `{"added":[],"assigned":[],…}`.
    func json() -> [UInt8] {
        var out: [UInt8] = [123]
        for (index, kind) in Self.kinds.enumerated() {
            if index > 0 { out.append(44) }
            appendJSONString(kind, to: &out)
            out.append(58)
            appendJSONStrings(ids[index], to: &out)
        }
        return out + [125, 10]
    }

    /// A line a kind: how many, and the first of them.
    func text() -> String {
        var text = ""
        for (kind, tasks) in zip(Self.kinds, ids) where !tasks.isEmpty {
            let label = kind + String(repeating: " ", count: 11 - kind.count)
            let more = tasks.count > 5 ? " … and \(tasks.count - 5) more" : ""
            text += "\(label)\(tasks.count)  \(tasks.prefix(5).joined(separator: ", "))\(more)\n"
        }
        return text.isEmpty ? "nothing happened between these moments\n" : text
    }
}
