import Projections

/// One request of the workers' protocol, old form or fast form, as it came.
struct WorkerRequest: Sendable {
    var type = ""
    var worker: String?
    var task: String?
    var error: String?
    var result: [UInt8]?
    var gpu: Int64?
    var attempt: UInt32?
    var count: Int64 = 1
    var waitSeconds: Double = 0
    var heartbeatSeconds: Double?
    var host: String?
    /// What `auth` carries.
    var token: String?
    /// A worker's first claim after its start: it runs nothing, whatever is assigned to it.
    var isRestart = false
    var items: [Item] = []
    var tasks: [TaskSpec] = []
    var hasTasks = false
    var hasItems = false

    /// One of several reports in a request.
    struct Item: Sendable {
        var task = ""
        var attempt: UInt32?
        var result: [UInt8]?
        var error: String?
        var progress: Double?
        var provenance = Event.Provenance()
    }

    /// Reads a whole JSON object. Throws `JSONError` with the byte, `Rejection` for values that make no sense.
    init(_ bytes: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        var request = WorkerRequest()
        var reader = JSONReader(bytes)
        try reader.object { key, reader throws(JSONError) in try request.take(key, &reader) }
        try reader.finish()
        self = request
    }

    private init() {}

    private mutating func take(_ key: String, _ reader: inout JSONReader) throws(JSONError) {
        switch key {
        case "type": type = try reader.string()
        case "worker_id", "worker": worker = try Self.optional(&reader)
        case "task_id": task = try reader.string()
        case "error": error = try Self.text(&reader)
        case "result_data", "result": result = try Self.object(&reader)
        case "gpu_id", "gpu": gpu = try Self.number(&reader)
        case "attempt": attempt = try Self.attempt(&reader)
        case "count": count = try reader.integer()
        case "wait_s": waitSeconds = try reader.double()
        case "heartbeat_s": heartbeatSeconds = reader.takeNull() ? nil : try reader.double()
        case "restart": isRestart = reader.takeNull() ? false : try reader.bool()
        case "host": host = try Self.optional(&reader)
        case "token": token = try Self.optional(&reader)
        case "items":
            var items: [Item] = []
            try reader.array { reader throws(JSONError) in items.append(try Self.item(&reader)) }
            self.items = items
            hasItems = true
        case "tasks":
            guard try reader.kind() == .array else { throw JSONError("tasks must be a list", offset: reader.at) }
            tasks = try TaskRequest.specs(&reader)
            hasTasks = true
        default: try reader.skip()
        }
    }

    private static func item(_ reader: inout JSONReader) throws(JSONError) -> Item {
        var item = Item()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "task_id": item.task = try reader.string()
            case "attempt": item.attempt = try attempt(&reader)
            case "result": item.result = try object(&reader)
            case "error": item.error = try text(&reader)
            case "progress": item.progress = reader.takeNull() ? nil : try reader.double()
            case "host": item.provenance.host = try optional(&reader)
            case "program": item.provenance.program = try optional(&reader)
            case "exit_code": item.provenance.exitCode = try number(&reader)
            case "signal": item.provenance.signal = try number(&reader)
            case "duration_s": item.provenance.durationSeconds = reader.takeNull() ? nil : try reader.double()
            case "max_rss_bytes": item.provenance.maxRSSBytes = try number(&reader)
            default: try reader.skip()
            }
        }
        return item
    }

    private static func optional(_ reader: inout JSONReader) throws(JSONError) -> String? {
        reader.takeNull() ? nil : try reader.string()
    }

    private static func number(_ reader: inout JSONReader) throws(JSONError) -> Int64? {
        if reader.takeNull() { return nil }
        guard try reader.kind() == .number else {
            try reader.skip()
            return nil
        }
        return try reader.integer()
    }

    private static func attempt(_ reader: inout JSONReader) throws(JSONError) -> UInt32? {
        if reader.takeNull() { return nil }
        let value = try reader.integer()
        guard let attempt = UInt32(exactly: value) else {
            throw JSONError("attempt is out of range", offset: reader.at)
        }
        return attempt
    }

    /// Any value as text: strings as they are, others as their JSON.
    private static func text(_ reader: inout JSONReader) throws(JSONError) -> String {
        if try reader.kind() == .string { return try reader.string() }
        var raw: [UInt8] = []
        try reader.compact(into: &raw)
        return String(decoding: raw, as: UTF8.self)
    }

    /// A JSON object without insignificant white space; nil for null.
    private static func object(_ reader: inout JSONReader) throws(JSONError) -> [UInt8]? {
        if reader.takeNull() { return nil }
        guard try reader.kind() == .object else {
            throw JSONError("the result must be a JSON object", offset: reader.at)
        }
        var raw: [UInt8] = []
        try reader.compact(into: &raw)
        return raw
    }
}

/// Tasks in a request: `{task_id, phase, config, seed?, output_dirs?, …}`.
enum TaskRequest {
    /// One task object or an array of them.
    static func specs(_ reader: inout JSONReader) throws(JSONError) -> [TaskSpec] {
        if try reader.kind() == .object { return [try spec(&reader)] }
        var specs: [TaskSpec] = []
        try reader.array { reader throws(JSONError) in specs.append(try spec(&reader)) }
        return specs
    }

    private static let optional = Set(TaskMembers.settable).subtracting(["task_id", "phase", "config"])

    private static func spec(_ reader: inout JSONReader) throws(JSONError) -> TaskSpec {
        var spec = TaskSpec(id: "", phase: "", config: [], outputDirectories: [])
        let start = reader.at
        try reader.object { key, reader throws(JSONError) in
            let place = reader.at
            // Null says as much as leaving it out.
            if Self.optional.contains(key), reader.takeNull() { return }
            switch key {
            case "task_id": spec.id = try reader.string()
            case "phase": spec.phase = try reader.string()
            case "config":
                guard try reader.kind() == .object else {
                    throw JSONError("config must be an object", offset: reader.at)
                }
                try reader.compact(into: &spec.config)
            case "seed":
                let kind = try reader.kind()
                guard kind == .number || kind == .string else {
                    throw JSONError("seed must be a number or a string", offset: reader.at)
                }
                spec.seed = []
                try reader.compact(into: &spec.seed)
            case "output_dirs": spec.outputDirectories = try reader.strings()
            case "output_dir":
                let directory = try reader.string()
                if spec.outputDirectories.isEmpty { spec.outputDirectories = [directory] }
            case "priority": spec.priority = Int(try reader.integer())
            case "max_retries": spec.maxRetries = Int(try reader.integer())
            case "timeout_s": spec.timeoutSeconds = try reader.double()
            case "after": spec.after = try reader.strings()
            case "command": spec.command = try reader.strings()
            case "key": spec.key = try reader.strings()
            case "env":
                try reader.object { name, reader throws(JSONError) in
                    spec.environment.append(EnvironmentVariable(name: name, value: try reader.string()))
                }
            case "cwd": spec.workingDirectory = try reader.string()
            default:
                if let meant = TaskMembers.meant(by: key) {
                    throw JSONError("a task has no member '\(key)'; '\(meant)' is one: correct it,", offset: place)
                }
                try reader.skip()
            }
        }
        if spec.config.isEmpty {
            throw JSONError("task '\(spec.id ?? "")' has no config; the task begins", offset: start)
        }
        if spec.outputDirectories.isEmpty { spec.outputDirectories = ["results_\(spec.phase)"] }
        guard spec.priority.magnitude <= Int32.max.magnitude else {
            throw JSONError(
                "priority is \(spec.priority), -2147483647 to 2147483647 are allowed,",
                offset: reader.at)
        }
        guard (0...1_000_000).contains(spec.maxRetries) else {
            throw JSONError("max_retries is \(spec.maxRetries), 0 to 1000000 are allowed,", offset: reader.at)
        }
        return spec
    }
}
