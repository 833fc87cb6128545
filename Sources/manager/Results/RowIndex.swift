import Projections

/// Finds the task that a row without a task's id speaks for: the one that agrees with it in all of its key columns.
///
/// One table for each set of key columns, so that a row costs one look-up a set, however many tasks there are. Tasks
/// are never removed and never change their key or config, so the index only grows. Pure.
struct RowIndex: Sendable {
    /// What was found.
    enum Match: Sendable, Equatable {
        /// The one task, by its place in the order of adding.
        case task(Int)
        /// At least these two tasks.
        case several(Int, Int)
        /// No task; and what the file lacks to tell for each set of key columns that it does not have.
        case none(missing: [Missing])
    }

    /// Columns that a file lacks.
    struct Missing: Sendable, Hashable {
        /// The columns' names.
        let columns: [String]
        /// A phase whose tasks need them.
        let phase: String
    }

    private struct Group {
        let names: [String]
        let columns: [[UInt8]]
        var phases: Set<[UInt8]> = []
        var first: [Int: UInt32] = [:]
    }

    private static let end = UInt32.max
    private var groups: [Group] = []
    private var groupNumbers: [Int: Int] = [:]
    /// The task before each one with the same hash in its group.
    private var earlier: [UInt32] = []

    /// How many tasks are in it.
    var count: Int { earlier.count }

    /// Every column that tells tasks apart, each once for a set of key columns that it belongs to.
    var keyColumns: [[UInt8]] { groups.flatMap(\.columns) }

    /// Takes in the tasks that were added since the last time.
    mutating func extend(to state: ManagerState) {
        guard earlier.count < state.taskCount else { return }
        earlier.reserveCapacity(state.taskCount)
        for number in earlier.count..<state.taskCount {
            guard let key = state.rowKey(of: number) else {
                earlier.append(Self.end)
                continue
            }
            let group = groupNumber(key, state)
            let context = state.rowContext(number)
            groups[group].phases.insert(context.phase)
            var hasher = Hasher()
            for value in Self.values(context, groups[group].columns) { Self.add(CellValue.form(json: value), &hasher) }
            let hash = hasher.finalize()
            earlier.append(groups[group].first[hash] ?? Self.end)
            groups[group].first[hash] = UInt32(number)
        }
    }

    /// Finds the task of a row that has as many fields as these columns.
    func match(_ row: CSVRow, _ columns: ResultColumns, _ state: ManagerState) -> Match {
        var found: Int?
        var missing: [Missing] = []
        for group in groups {
            let places = group.columns.map { columns.index(of: $0) }
            guard !places.contains(nil) else {
                if let lack = Self.lack(group, places, row, columns) { missing.append(lack) }
                continue
            }
            let cells = places.compactMap { $0 }.map { row.value($0) }
            var hasher = Hasher()
            for cell in cells { Self.add(CellValue.form(cell: cell), &hasher) }
            var next = group.first[hasher.finalize()] ?? Self.end
            while next != Self.end {
                let number = Int(next)
                next = earlier[number]
                let values = Self.values(state.rowContext(number), group.columns)
                guard zip(cells, values).allSatisfy({ CellValue.agrees($0, with: $1) }) else { continue }
                if let found { return .several(found, number) }
                found = number
            }
        }
        return found.map { .task($0) } ?? .none(missing: missing)
    }

    /// What a file lacks for a group, where the row can be one of its: it names one of its phases, or no phase at all.
    private static func lack(
        _ group: Group, _ places: [Int?], _ row: CSVRow, _ columns: ResultColumns
    ) -> Missing? {
        if let phase = columns.index(of: ResultColumns.phase), !group.phases.contains(row.value(phase)) { return nil }
        let names = zip(group.names, places).filter { $0.1 == nil }.map(\.0)
        let phase = group.phases.min { $0.lexicographicallyPrecedes($1) } ?? []
        return Missing(columns: names, phase: String(decoding: phase, as: UTF8.self))
    }

    private mutating func groupNumber(_ key: Int, _ state: ManagerState) -> Int {
        if let known = groupNumbers[key] { return known }
        let names = state.columns(ofRowKey: key)
        groups.append(Group(names: names, columns: names.map { Array($0.utf8) }))
        groupNumbers[key] = groups.count - 1
        return groups.count - 1
    }

    /// The values of a task in these columns, as JSON; what it has not is null.
    private static func values(
        _ context: (phase: [UInt8], seed: [UInt8], config: [UInt8]), _ columns: [[UInt8]]
    ) -> [[UInt8]] {
        var values = [[UInt8]](repeating: [], count: columns.count)
        var members = JSONMembers(context.config)
        while let member = next(&members) {
            let key = members.key(of: member)
            for (index, column) in columns.enumerated() where column == key {
                values[index] = Array(context.config[member.value])
            }
        }
        for (index, column) in columns.enumerated() {
            if column == ResultColumns.seed {
                values[index] = context.seed
            } else if column == ResultColumns.phase {
                values[index] = []
                JSONStringText.append(context.phase, to: &values[index])
            }
        }
        return values
    }

    private static func next(_ members: inout JSONMembers) -> JSONMembers.Member? {
        do throws(JSONMembers.Malformed) { return try members.next() } catch {
            // Only a journal of another maker can hold such a config; what was read of it counts.
            return nil
        }
    }

    private static func add(_ form: [UInt8], _ hasher: inout Hasher) {
        form.withUnsafeBytes { hasher.combine(bytes: $0) }
        hasher.combine(form.count)
    }
}
