import Projections

/// Lines of the workers' fast form as a client writes and reads them.
struct WorkerLine: Sendable {
    private var out: [UInt8] = [123]

    /// A request of a type.
    init(_ type: String, worker: String? = nil) {
        string("type", type)
        if let worker { string("worker_id", worker) }
    }

    private init() {}

    /// An item that names an attempt.
    static func item(_ task: String, _ attempt: UInt32) -> WorkerLine {
        var item = WorkerLine()
        item.string("task_id", task)
        item.number("attempt", Double(attempt))
        return item
    }

    /// The object, without a newline.
    var bytes: [UInt8] { out + [125] }

    mutating func string(_ key: String, _ text: String) {
        name(key)
        appendJSONString(text, to: &out)
    }

    mutating func number(_ key: String, _ value: Double) {
        name(key)
        appendJSONNumber(value, to: &out)
    }

    /// A value that is JSON already.
    mutating func json(_ key: String, _ value: [UInt8]) {
        name(key)
        out += value
    }

    /// The members that tell of a run.
    mutating func report(_ report: RunReport) {
        string("host", report.host)
        if let program = report.program { string("program", program) }
        if let code = report.exitCode { number("exit_code", Double(code)) }
        if let signal = report.signal { number("signal", Double(signal)) }
        number("duration_s", (report.durationSeconds * 1000).rounded() / 1000)
        if let bytes = report.maxRSSBytes { number("max_rss_bytes", Double(bytes)) }
    }

    private mutating func name(_ key: String) {
        if out.count > 1 { out.append(44) }
        appendJSONString(key, to: &out)
        out.append(58)
    }

    // MARK: - Answers

    /// An answer that is none, or that says that something is wrong.
    struct Problem: Error, Sendable, CustomStringConvertible {
        let description: String
    }

    /// What became of one item.
    struct ItemAnswer: Sendable {
        var isDuplicate = false
        var isLate = false
        var cancels = false
        var isUnclaimed = false
        var error: String?
        var status: Int64 = 0

        /// For an end.
        var delivery: DeliveryAnswer {
            guard let error else { return .accepted(late: isLate, duplicate: isDuplicate) }
            return [429, 503, 507].contains(status) ? .unavailable(error) : .refused(error)
        }

        /// For a heartbeat.
        var heartbeat: HeartbeatAnswer { cancels || (error != nil && !isUnclaimed) ? .stop : .goOn }
    }

    /// The error that an answer tells; nil where it tells none.
    static func error(_ answer: [UInt8]) -> String? {
        if case .failure(let problem) = items(answer) { return problem.description }
        return nil
    }

    /// The items of a `done`; none for other good answers.
    static func items(_ answer: [UInt8]) -> Result<[ItemAnswer], Problem> {
        read(answer) { key, reader, items, _ throws(JSONError) in
            guard key == "items" else { return false }
            var list: [ItemAnswer] = []
            try reader.array { reader throws(JSONError) in list.append(try item(&reader)) }
            items = list
            return true
        }
    }

    /// The tasks of a `tasks`. A problem, too, where this worker gets none because of its failures.
    static func tasks(_ answer: [UInt8]) -> Result<[ClaimedTask], Problem> {
        read(answer) { key, reader, tasks, problem throws(JSONError) in
            if key == "quarantined" {
                guard try reader.bool() else { return true }
                problem =
                    "this worker is in quarantine, for too many of its attempts have failed in a row: "
                    + "see why, then 'manager workers --release NAME'"
                return true
            }
            guard key == "tasks" else { return false }
            var list: [ClaimedTask] = []
            try reader.array { reader throws(JSONError) in list.append(try task(&reader)) }
            tasks = list
            return true
        }
    }

    private static func read<Element>(
        _ answer: [UInt8],
        _ take: (String, inout JSONReader, inout [Element], inout String?) throws(JSONError) -> Bool
    ) -> Result<[Element], Problem> {
        answer.withUnsafeBufferPointer { bytes in
            var elements: [Element] = []
            var error: String?
            do throws(JSONError) {
                var reader = JSONReader(bytes)
                try reader.object { key, reader throws(JSONError) in
                    if try take(key, &reader, &elements, &error) { return }
                    if key == "error" { error = try reader.string() } else { try reader.skip() }
                }
            } catch { return .failure(Problem(description: "the manager's answer cannot be read: \(error)")) }
            if let error { return .failure(Problem(description: error)) }
            return .success(elements)
        }
    }

    private static func item(_ reader: inout JSONReader) throws(JSONError) -> ItemAnswer {
        var item = ItemAnswer()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "duplicate": item.isDuplicate = try reader.bool()
            case "late": item.isLate = try reader.bool()
            case "cancel": item.cancels = try reader.bool()
            case "unclaimed": item.isUnclaimed = try reader.bool()
            case "error": item.error = try reader.string()
            case "status": item.status = try reader.integer()
            default: try reader.skip()
            }
        }
        return item
    }

    private static func task(_ reader: inout JSONReader) throws(JSONError) -> ClaimedTask {
        var task = ClaimedTask(
            id: "", phase: "", config: [], seed: [], outputDirectory: "", outputDirectories: [], attempt: 0)
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "task_id": task.id = try reader.string()
            case "phase": task.phase = try reader.string()
            case "config": try reader.compact(into: &task.config)
            case "seed": try reader.compact(into: &task.seed)
            case "output_dir": task.outputDirectory = try reader.string()
            case "output_dirs": task.outputDirectories = try reader.strings()
            case "attempt": task.attempt = UInt32(clamping: try reader.integer())
            case "timeout_s": task.timeoutSeconds = reader.takeNull() ? nil : try reader.double()
            case "command": task.command = reader.takeNull() ? nil : try reader.strings()
            case "env":
                try reader.object { name, reader throws(JSONError) in
                    task.environment.append(EnvironmentVariable(name: name, value: try reader.string()))
                }
            case "cwd": task.workingDirectory = reader.takeNull() ? nil : try reader.string()
            default: try reader.skip()
            }
        }
        return task
    }
}
