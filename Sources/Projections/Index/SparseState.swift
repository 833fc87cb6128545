import EventLog

/// A state that knows all counts, but only those tasks that events touch: for `status` of a moment, without reading
/// every task.
///
/// It is folded by the one `apply`: before an event of a task that it does not know, the task is put in as indexes say
/// that it stood. Numbers, configs and attempts of tasks are not those of the whole state: only `summary` is to be asked.
public struct SparseState: Sendable {
    private var state: ManagerState
    /// Pending tasks by gate, of those that are not in `state`.
    private var waiting: [UInt32: Int]
    private let codes: [UInt64: UInt64]

    /// The last event that was folded.
    public var position: LogPosition { state.position }

    /// Begins at an index's end. `codes`: where tasks stood then, by the hash of their id. Nil: the index is of another
    /// form.
    public init?(_ index: TaskIndex, codes: [UInt64: UInt64]) {
        var reading = SummaryReading()
        var isRight = true
        Array(index.summary).withUnsafeBufferPointer { bytes in
            var reader = JSONReader(bytes)
            do throws(JSONError) { try reading.read(&reader) } catch { isRight = false }
        }
        guard isRight, reading.state.position == index.last else { return nil }
        state = reading.state
        waiting = reading.waiting
        self.codes = codes
    }

    /// The tasks that events touch, by the hash of their id.
    public struct Touched: Sendable {
        /// The hashes that came.
        public private(set) var hashes: Set<UInt64> = []

        /// None yet.
        public init() {}

        /// Takes an event.
        public mutating func note(_ event: EventView) {
            if event.kind != .note, !event.task.isEmpty { hashes.insert(TaskIndex.hash(event.task)) }
        }

        /// Where they stood at the end of the newest of some indexes, oldest first, that follow one another.
        public func codes(in indexes: [TaskIndex]) -> [UInt64: UInt64] {
            var found: [UInt64: UInt64] = [:]
            var left = hashes.sorted()
            for index in indexes.reversed() where !left.isEmpty {
                for (hash, code) in index.codes(of: left) { found[hash] = code }
                left.removeAll { found[$0] != nil }
            }
            return found
        }
    }

    /// Folds an event.
    public mutating func apply(_ line: LogLine) throws(EventError) {
        let event = try EventView(line)
        if event.kind != .note, !event.task.isEmpty, state.ids.number(of: event.task) == nil,
            let code = codes[TaskIndex.hash(event.task)].flatMap({ TaskCode($0) }), code.kind < state.templates.count
        {
            _ = state.ids.intern(event.task)
            var record = TaskRecord()
            record.status = code.status
            record.template = UInt32(code.kind)
            state.tasks.append(record)
            if code.status == .pending { waiting[state.templates[code.kind].after, default: 0] -= 1 }
        }
        state.apply(event, at: line.position, time: line.time, crc: line.crc)
    }

    /// What `status` tells.
    public var summary: StatusSummary {
        var gates = waiting
        for (gate, tasks) in state.waitingGates { gates[gate, default: 0] += tasks }
        return StatusSummary(state, gates: gates.filter { $0.value > 0 }.map { ($0.key, $0.value) })
    }
}

/// An index's summary on its way into a state.
private struct SummaryReading {
    var state = ManagerState()
    var waiting: [UInt32: Int] = [:]
    private var gates: [UInt32] = []

    mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        var copy = self
        var kinds: [(phase: Int, gate: Int)] = []
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "seq": copy.state.position = LogPosition(UInt64(max(0, try reader.integer())))
            case "time_us": copy.state.time = LogTime(microseconds: try reader.integer())
            case "crc": copy.state.crc = UInt32(clamping: try reader.integer())
            case "phases": try reader.array { reader throws(JSONError) in try copy.readPhase(&reader) }
            case "kinds":
                try reader.array { reader throws(JSONError) in
                    var numbers: [Int] = []
                    try reader.array { reader throws(JSONError) in numbers.append(Int(try reader.integer())) }
                    guard numbers.count == 2 else { throw JSONError("a pair is due", offset: reader.at) }
                    kinds.append((numbers[0], numbers[1]))
                }
            case "gates": try reader.array { reader throws(JSONError) in try copy.readGate(&reader) }
            case "workers": try reader.array { reader throws(JSONError) in try copy.readWorker(&reader) }
            default: try reader.skip()
            }
        }
        for kind in kinds {
            guard kind.phase < copy.state.phaseCounts.count, kind.gate < copy.gates.count,
                min(kind.phase, kind.gate) >= 0
            else { throw JSONError("a kind without its phase", offset: reader.at) }
            var template = TaskTemplate(phase: UInt32(kind.phase), maxRetries: 0)
            template.after = copy.gates[kind.gate]
            copy.state.templates.append(template)
        }
        self = copy
    }

    private mutating func readPhase(_ reader: inout JSONReader) throws(JSONError) {
        var name: String?
        var counts = StatusCounts()
        var statuses = TaskStatus.allCases[...]
        try reader.array { reader throws(JSONError) in
            if name == nil {
                name = try reader.string()
            } else if let status = statuses.popFirst() {
                counts[status] = Int(try reader.integer())
            } else {
                try reader.skip()
            }
        }
        guard var name else { throw JSONError("a phase without a name", offset: reader.at) }
        _ = name.withUTF8 { state.phaseNames.intern($0) }
        state.phaseCounts.append(counts)
        for status in TaskStatus.allCases { state.counts[status] += counts[status] }
    }

    private mutating func readGate(_ reader: inout JSONReader) throws(JSONError) {
        var after: [UInt8]?
        var tasks = 0
        var isFirst = true
        try reader.array { reader throws(JSONError) in
            if !isFirst {
                tasks = Int(try reader.integer())
            } else if !reader.takeNull() {
                var bytes: [UInt8] = []
                try reader.compact(into: &bytes)
                after = bytes
            }
            isFirst = false
        }
        let gate = after.map { state.word($0) } ?? TaskRecord.none
        gates.append(gate)
        waiting[gate, default: 0] += tasks
    }

    private mutating func readWorker(_ reader: inout JSONReader) throws(JSONError) {
        var name: String?
        var numbers: [Int64] = []
        try reader.array { reader throws(JSONError) in
            if name == nil { name = try reader.string() } else { numbers.append(try reader.integer()) }
        }
        guard var name, numbers.count == 3 else { throw JSONError("a worker is broken", offset: reader.at) }
        _ = name.withUTF8 { state.workerNames.intern($0) }
        var runs = RunStatistics()
        runs.completed = numbers[2]
        state.workers.append(
            WorkerRecord(firstEvent: numbers[0], lastEvent: numbers[1], holding: [], runs: [(0, runs)]))
    }
}
