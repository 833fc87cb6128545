import EventLog

/// Gathers the events of a stretch of the journal by task, and writes the index of it.
public struct TaskIndexBuilder: Sendable {
    private struct Mention {
        var hash: UInt64
        /// From the stretch's first position.
        var distance: UInt32
        /// The task's place in the order of adding, or `TaskRecord.none`.
        var number: UInt32
    }

    private let first: LogPosition
    private var last: LogPosition
    private var lastCRC: UInt32 = 0
    private var mentions: [Mention] = []
    /// The bytes of the lines that were noted.
    public private(set) var lineBytes: UInt64 = 0

    /// Begins a stretch with a position.
    public init(from first: LogPosition) {
        self.first = first
        last = first.previous
    }

    /// Takes the next event, whose task, if any, `state` knows.
    public mutating func note(_ line: LogLine, _ event: EventView, _ state: ManagerState) {
        last = line.position
        lastCRC = line.crc
        lineBytes += UInt64(line.bytes.count + 1)
        guard event.kind != .note, !event.task.isEmpty else { return }
        mentions.append(
            Mention(
                hash: TaskIndex.hash(event.task), distance: UInt32(clamping: line.position.rawValue - first.rawValue),
                number: state.ids.number(of: event.task).map { UInt32($0) } ?? TaskRecord.none))
    }

    /// The index's bytes. `state` stands at the stretch's end; `hasState`: whether it was written there.
    public mutating func finish(_ state: ManagerState, hasState: Bool) -> [UInt8] {
        precondition(state.position == last && first <= last, "an index ends where the state stands")
        let kinds = KindTable(state)
        mentions.sort { ($0.hash, $0.distance) < ($1.hash, $1.distance) }
        var hashes: [UInt64] = []
        var samples: [UInt32] = []
        var entries: [UInt8] = []
        var at = 0
        while at < mentions.count {
            let hash = mentions[at].hash
            var end = at
            while end < mentions.count, mentions[end].hash == hash { end += 1 }
            if hashes.count % TaskIndex.stride == 0 { samples.append(UInt32(clamping: entries.count)) }
            hashes.append(hash)
            VariableNumbers.append(kinds.code(of: mentions[end - 1].number, state), to: &entries)
            VariableNumbers.append(UInt64(end - at), to: &entries)
            var before: UInt32 = 0
            for mention in mentions[at..<end] {
                VariableNumbers.append(UInt64(mention.distance - before), to: &entries)
                before = mention.distance
            }
            at = end
        }
        let summary = kinds.summary(state)
        var out = TaskIndex.magic
        func append<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { out.append(contentsOf: $0) }
        }
        append(first.rawValue)
        append(last.rawValue)
        append(lineBytes)
        append(UInt64(lastCRC) | (hasState ? 1 << 32 : 0))
        append(UInt64(hashes.count))
        append(UInt64(summary.count))
        append(UInt64(0))
        out += summary
        for hash in hashes { append(hash) }
        for sample in samples { append(sample) }
        out += entries
        append(crc32c(out))
        return out
    }
}

/// The kinds of tasks: a phase and what its tasks wait for. Few, where templates may be as many as tasks.
struct KindTable {
    private struct Kind: Hashable {
        var phase: UInt32
        var gate: UInt32
    }

    private var kinds: [Kind] = []
    private var ofTemplate: [Int] = []

    init(_ state: ManagerState) {
        var numbers: [Kind: Int] = [:]
        for template in state.templates {
            let kind = Kind(phase: template.phase, gate: template.after)
            if let known = numbers[kind] {
                ofTemplate.append(known)
            } else {
                numbers[kind] = kinds.count
                ofTemplate.append(kinds.count)
                kinds.append(kind)
            }
        }
    }

    /// The `TaskCode` of a task as it stands.
    func code(of number: UInt32, _ state: ManagerState) -> UInt64 {
        guard number != TaskRecord.none else { return TaskCode.unknown }
        let task = state.tasks[Int(number)]
        return TaskCode(kind: ofTemplate[Int(task.template)], status: task.status).number
    }

    /// `{"seq","time","crc","phases":[[name, count of each status…]…],"kinds":[[phase, gate]…],"gates":[[after or null,
    /// pending tasks]…],"workers":[[name, first, last, completed]…]}`.
    func summary(_ state: ManagerState) -> [UInt8] {
        var out = Array("{\"seq\":\(state.position),\"time_us\":\(state.time?.microseconds ?? 0),".utf8)
        out += Array("\"crc\":\(state.crc),\"phases\":[".utf8)
        for (index, name) in state.phases.enumerated() {
            if index > 0 { out.append(44) }
            out.append(91)
            appendJSONString(name, to: &out)
            for status in TaskStatus.allCases { out += Array(",\(state.phaseCounts[index][status])".utf8) }
            out.append(93)
        }
        var gates: [UInt32] = []
        for kind in kinds where !gates.contains(kind.gate) { gates.append(kind.gate) }
        out += Array("],\"kinds\":[".utf8)
        for (index, kind) in kinds.enumerated() {
            out += Array("\(index > 0 ? "," : "")[\(kind.phase),\(gates.firstIndex(of: kind.gate) ?? 0)]".utf8)
        }
        let waiting = Dictionary(state.waitingGates.map { ($0.gate, $0.tasks) }, uniquingKeysWith: +)
        out += Array("],\"gates\":[".utf8)
        for (index, gate) in gates.enumerated() {
            out += Array(index > 0 ? ",[".utf8 : "[".utf8)
            if gate == TaskRecord.none {
                out += Array("null".utf8)
            } else {
                state.words.with(Int(gate)) { out.append(contentsOf: $0) }
            }
            out += Array(",\(waiting[gate] ?? 0)]".utf8)
        }
        out += Array("],\"workers\":[".utf8)
        for (index, worker) in state.workers.enumerated() {
            out += Array(index > 0 ? ",[".utf8 : "[".utf8)
            state.workerNames.with(index) { appendJSONString($0, to: &out) }
            let completed = worker.runs.reduce(0) { $0 + $1.statistics.completed - $1.statistics.brought }
            out += Array(",\(worker.firstEvent),\(worker.lastEvent),\(completed)]".utf8)
        }
        return out + Array("]}".utf8)
    }
}
