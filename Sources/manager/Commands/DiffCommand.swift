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
            let json = json
            let text = try await onThread(named: "diff") {
                Result { () throws -> [UInt8]? in
                    guard let changes = try Changes.between(first, second, in: data) else { return nil }
                    if json { return changes.json() }
                    return Array(changes.text(try MomentReader(data).state(at: second).state).utf8)
                }
            }.get()
            guard let text else { throw Self.wrongOrder(moments) }
            Terminal.write(text)
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
    private var workers = ChangeGroups(title: "worker")
    /// Who had each task last, as far as these events tell.
    private var holders: [String: String] = [:]

    /// Reads the events after the first moment, up to the second. Nil: the first is the later one.
    static func between(_ first: Moment, _ second: Moment, in data: DataDirectory) throws -> Changes? {
        var changes = Changes()
        let reader = MomentReader(data)
        let (start, limit) = (try reader.limit(of: first), try reader.limit(of: second))
        guard start <= limit else { return nil }
        try reader.requireKept(first)
        try Terminal.warnBeyond(second, reader)
        // A first moment in the future has nothing behind it.
        guard start < limit else { return changes }
        try LogReader(data.journal, from: start.next, prefetching: true).forEach { line throws(JournalError) in
            guard line.position <= limit else { return false }
            do throws(EventError) { changes.note(try EventView(line)) } catch { throw Replay.unfoldable(line, error) }
            return true
        }
        // It may have been discarded while it was read.
        try reader.requireKept(first)
        return changes
    }

    private mutating func note(_ event: EventView) {
        guard let kind = Self.kinds.firstIndex(of: String(decoding: event.type, as: UTF8.self)) else { return }
        let id = String(decoding: event.task, as: UTF8.self)
        if let worker = event.worker { holders[id] = String(decoding: worker, as: UTF8.self) }
        // `requeued` and `cancelled` name no worker: it is the one that had the task before.
        if event.kind != .added { workers.note(holders[id], kind, id) }
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

    /// A line a kind: how many, and the first of them; then how many by phase and by worker. `state` knows the tasks.
    func text(_ state: ManagerState) -> String {
        var text = ""
        var phases = ChangeGroups(title: "phase")
        for (kind, tasks) in ids.enumerated() where !tasks.isEmpty {
            let name = Self.kinds[kind]
            let label = name + String(repeating: " ", count: 11 - name.count)
            let more = tasks.count > 5 ? " … and \(tasks.count - 5) more" : ""
            text += "\(label)\(tasks.count)  \(tasks.prefix(5).joined(separator: ", "))\(more)\n"
            for id in tasks { phases.note(state.taskNumber(id).map { state.taskLine($0).phase }, kind, id) }
        }
        guard !text.isEmpty else { return "nothing happened between these moments\n" }
        for groups in [phases, workers] where !groups.isEmpty { text += "\n" + groups.table.forStandardOutput }
        return text
    }
}

/// Tasks that something happened to, counted by phase or worker; each task once for each kind of event.
private struct ChangeGroups: Sendable {
    let title: String
    private var names: [String] = []
    private var tasks: [String: [Set<String>]] = [:]

    init(title: String) { self.title = title }

    var isEmpty: Bool { names.isEmpty }

    mutating func note(_ group: String?, _ kind: Int, _ task: String) {
        guard let group else { return }
        if tasks[group] == nil {
            names.append(group)
            tasks[group] = Array(repeating: [], count: Changes.kinds.count)
        }
        tasks[group]?[kind].insert(task)
    }

    /// A line a group, by name; kinds of which there are none at all are left out.
    var table: ListTable {
        let kinds = Changes.kinds.indices.filter { kind in tasks.values.contains { !$0[kind].isEmpty } }
        var table = ListTable(
            [.init(title: title, canShrink: true)] + kinds.map { .init(title: Changes.kinds[$0], isRight: true) })
        for name in names.sorted() {
            let counts = kinds.map { tasks[name]?[$0].count ?? 0 }
            table.add([.init(name)] + counts.map { .init("\($0)", colour: $0 == 0 ? 2 : nil) })
        }
        return table
    }
}
