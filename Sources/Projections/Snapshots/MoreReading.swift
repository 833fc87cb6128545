import EventLog

/// The member `more` on its way into a state.
struct MoreReading {
    struct Pair {
        var first: Int
        var second: UInt32
    }

    struct Worker {
        var name = ""
        var first: Int64 = 0
        var last: Int64 = 0
        var failuresInRow: Int64 = 0
        var holding: [UInt32] = []
        var runs: [(phase: UInt32, statistics: RunStatistics)] = []
    }

    struct Template {
        var phase = ""
        var maxRetries: Int64 = 0
        var words: [String: [UInt8]] = [:]
        var workingDirectory: String?
    }

    var version: Int64 = 0
    var greatestCounter: Int64 = -1
    var start: ManagerState.StartRecord?
    var workers: [Worker] = []
    var losses: [Pair] = []
    var files: [String: ManagerState.FileRead] = [:]
    var rowMemory = RowMemory()
    var claimMemory = ClaimMemory()
    var reopened: [Pair] = []
    var heartbeats: [(task: Int, interval: [UInt8])] = []
    var templates: [Template] = []
    var templateRuns: [Pair] = []

    mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        var copy = self
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "version": copy.version = try reader.integer()
            case "greatest_counter": copy.greatestCounter = try reader.integer()
            case "started": copy.start = try Self.start(&reader)
            case "workers":
                try reader.array { reader throws(JSONError) in copy.workers.append(try Self.worker(&reader)) }
            case "losses": copy.losses = try Self.pairs(&reader)
            case "csv": try reader.array { reader throws(JSONError) in try copy.readFile(&reader) }
            case "csv_rows": copy.rowMemory = try RowMemory.read(&reader)
            case "claim_keys": copy.claimMemory = try ClaimMemory.read(&reader)
            case "reopened": copy.reopened = try Self.pairs(&reader)
            case "heartbeats":
                try reader.array { reader throws(JSONError) in try copy.readHeartbeat(&reader) }
            case "templates":
                try reader.array { reader throws(JSONError) in copy.templates.append(try Self.template(&reader)) }
            case "template_runs": copy.templateRuns = try Self.pairs(&reader)
            default: try reader.skip()
            }
        }
        self = copy
    }

    func build(_ state: inout ManagerState) throws(JSONError) {
        state.greatestCounter = greatestCounter
        state.start = start
        state.filesRead = files
        state.rowMemory = rowMemory
        state.claimMemory = claimMemory
        for pair in reopened { state.reopened[UInt32(clamping: pair.first)] = pair.second }
        for pair in losses { state.losses[UInt32(clamping: pair.first)] = pair.second }
        for worker in workers {
            var name = worker.name
            guard name.withUTF8({ state.workerNames.intern($0).isNew }) else {
                throw JSONError("the worker \(name) stands twice", offset: 0)
            }
            state.workers.append(
                WorkerRecord(
                    firstEvent: worker.first, lastEvent: worker.last, failuresInRow: worker.failuresInRow,
                    holding: worker.holding, runs: worker.runs))
        }
        for template in templates {
            var phase = template.phase
            let (number, isNew) = phase.withUTF8 { state.phaseNames.intern($0) }
            if isNew { state.phaseCounts.append(StatusCounts()) }
            var restored = TaskTemplate(phase: UInt32(number), maxRetries: Int32(clamping: template.maxRetries))
            func word(_ name: String) -> UInt32 { template.words[name].map { state.word($0) } ?? TaskRecord.none }
            restored.timeout = word("timeout_s")
            restored.after = word("after")
            restored.command = word("command")
            restored.key = word("key")
            restored.environment = word("env")
            restored.workingDirectory = template.workingDirectory.map { state.word(Array($0.utf8)) } ?? TaskRecord.none
            state.templates.append(restored)
            state.templateNumbers[restored] = UInt32(state.templates.count - 1)
        }
        let (tasks, phases) = (state.tasks.count, state.phaseNames.count)
        let isWhole = state.workers.allSatisfy { worker in
            worker.holding.allSatisfy { Int($0) < tasks } && worker.runs.allSatisfy { Int($0.phase) < phases }
        }
        guard isWhole, claimMemory.isWithin(tasks) else {
            throw JSONError("a worker has a task or a phase that is not there", offset: 0)
        }
    }

    /// A count of what has happened: no journal has more events. The fold adds to it.
    private static func count(_ reader: inout JSONReader) throws(JSONError) -> Int64 {
        try number(&reader, within: 0...(1 << 53), "a count")
    }

    /// A moment in microseconds since 1970, of a year that can be written.
    static func time(_ reader: inout JSONReader) throws(JSONError) -> Int64 {
        try number(&reader, within: LogTime.first.microseconds...LogTime.last.microseconds, "a moment")
    }

    private static func number(
        _ reader: inout JSONReader, within bounds: ClosedRange<Int64>, _ what: String
    ) throws(JSONError) -> Int64 {
        let value = try reader.integer()
        guard bounds.contains(value) else { throw JSONError("\(what) is out of range", offset: reader.at) }
        return value
    }

    /// An array of pairs of whole numbers.
    static func pairs(_ reader: inout JSONReader) throws(JSONError) -> [Pair] {
        var pairs: [Pair] = []
        try reader.array { reader throws(JSONError) in
            var numbers: [Int64] = []
            try reader.array { reader throws(JSONError) in numbers.append(try reader.integer()) }
            guard numbers.count == 2 else { throw JSONError("a pair is due", offset: reader.at) }
            pairs.append(Pair(first: Int(numbers[0]), second: UInt32(clamping: numbers[1])))
        }
        return pairs
    }

    private static func start(_ reader: inout JSONReader) throws(JSONError) -> ManagerState.StartRecord {
        var start = ManagerState.StartRecord(position: 0, time: 0, version: "", host: "", pid: 0, count: 0)
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "seq": start.position = UInt64(max(0, try reader.integer()))
            case "time_us": start.time = try Self.time(&reader)
            case "version": start.version = try reader.string()
            case "host": start.host = try reader.string()
            case "pid": start.pid = try reader.integer()
            case "count": start.count = try Self.count(&reader)
            default: try reader.skip()
            }
        }
        return start
    }

    private mutating func readFile(_ reader: inout JSONReader) throws(JSONError) {
        var file = ""
        var read = ManagerState.FileRead(bytes: 0, sha256: "")
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "file": file = try reader.string()
            case "bytes": read.bytes = max(0, try reader.integer())
            case "sha256": read.sha256 = try reader.string()
            case "until": read.countsByHashTo = max(0, try reader.integer())
            default: try reader.skip()
            }
        }
        files[file] = read
    }

    private mutating func readHeartbeat(_ reader: inout JSONReader) throws(JSONError) {
        var numbers: [[UInt8]] = []
        try reader.array { reader throws(JSONError) in
            var number: [UInt8] = []
            try reader.compact(into: &number)
            numbers.append(number)
        }
        guard numbers.count == 2, let task = Int(String(decoding: numbers[0], as: UTF8.self)) else {
            throw JSONError("a pair is due", offset: reader.at)
        }
        heartbeats.append((task, numbers[1]))
    }

    private static func worker(_ reader: inout JSONReader) throws(JSONError) -> Worker {
        var worker = Worker()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "worker": worker.name = try reader.string()
            case "first_us": worker.first = try Self.time(&reader)
            case "last_us": worker.last = try Self.time(&reader)
            case "failures_in_row": worker.failuresInRow = try Self.count(&reader)
            case "holding":
                try reader.array { reader throws(JSONError) in
                    worker.holding.append(UInt32(clamping: try reader.integer()))
                }
            case "runs": try reader.array { reader throws(JSONError) in try readRun(&reader, &worker) }
            default: try reader.skip()
            }
        }
        return worker
    }

    private static func readRun(_ reader: inout JSONReader, _ worker: inout Worker) throws(JSONError) {
        var phase: UInt32 = 0
        var run = RunStatistics()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "phase": phase = UInt32(clamping: try reader.integer())
            case "completed": run.completed = try Self.count(&reader)
            case "brought": run.brought = try Self.count(&reader)
            case "failed": run.failed = try Self.count(&reader)
            case "lost": run.lost = try Self.count(&reader)
            case "busy_us": run.busyMicroseconds = try reader.integer()
            case "durations":
                for pair in try pairs(&reader) {
                    guard DurationHistogram.buckets.contains(pair.first) else {
                        throw JSONError("a duration is out of range", offset: reader.at)
                    }
                    run.durations.counts.append((Int32(clamping: pair.first), Int64(pair.second)))
                }
            default: try reader.skip()
            }
        }
        worker.runs.append((phase, run))
    }

    private static func template(_ reader: inout JSONReader) throws(JSONError) -> Template {
        var template = Template()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "phase": template.phase = try reader.string()
            case "max_retries": template.maxRetries = try reader.integer()
            case "cwd": template.workingDirectory = try reader.string()
            default:
                var bytes: [UInt8] = []
                try reader.compact(into: &bytes)
                template.words[key] = bytes
            }
        }
        return template
    }
}
