import EventLog

/// The members of one task in a Python manager's state file, as they stand.
struct PythonTaskFields {
    private var id: String?
    private var phase: String?
    private var config: [UInt8]?
    private var seed: [UInt8]?
    private var configSeed: [UInt8]?
    private var directory: String?
    private var directories: [String]?
    private var status: String?
    private var worker: String?
    private var assignedAt: String?
    private var retries: Int64 = 0
    private var maxRetries: Int64?
    private var priority: Int64?
    private var lastError: String?

    /// Takes one member; those that are not known are passed over.
    mutating func read(_ key: String, _ reader: inout JSONReader) throws(JSONError) {
        switch key {
        case "task_id": id = try reader.string()
        case "phase": phase = try reader.string()
        case "config": try readConfig(&reader)
        case "seed": seed = try Self.scalar(&reader)
        case "output_dir": directory = try Self.text(&reader)
        case "output_dirs": directories = reader.takeNull() ? nil : try reader.strings()
        case "status": status = try reader.string()
        case "assigned_to": worker = try Self.text(&reader)
        case "assigned_at": assignedAt = try Self.text(&reader)
        case "retry_count": retries = reader.takeNull() ? 0 : try reader.integer()
        case "max_retries": maxRetries = reader.takeNull() ? nil : try reader.integer()
        case "priority": priority = reader.takeNull() ? nil : try reader.integer()
        case "last_error": lastError = try Self.text(&reader)
        default: try reader.skip()
        }
    }

    private mutating func readConfig(_ reader: inout JSONReader) throws(JSONError) {
        guard try reader.kind() == .object else { throw JSONError("it is no object", offset: reader.at) }
        var bytes: [UInt8] = []
        try reader.compact(into: &bytes)
        config = bytes
        configSeed = try bytes.withUnsafeBufferPointerThrowing { buffer throws(JSONError) in
            var found: [UInt8]?
            var inside = JSONReader(buffer)
            try inside.object { key, inside throws(JSONError) in
                var value: [UInt8] = []
                try inside.compact(into: &value)
                if key == "seed", let first = value.first, first == 34 || first == 45 || (48...57).contains(first) {
                    found = value
                }
            }
            return found
        }
    }

    private static func text(_ reader: inout JSONReader) throws(JSONError) -> String? {
        reader.takeNull() ? nil : try reader.string()
    }

    private static func scalar(_ reader: inout JSONReader) throws(JSONError) -> [UInt8]? {
        if reader.takeNull() { return nil }
        let kind = try reader.kind()
        guard kind == .number || kind == .string else {
            throw JSONError("a number or a text is due", offset: reader.at)
        }
        var bytes: [UInt8] = []
        try reader.compact(into: &bytes)
        return bytes
    }

    // MARK: - The task

    /// The task that the members describe, and what of them the journal cannot say. `offset`: of the task in the file.
    func task(
        _ key: String, _ surroundings: PythonState.Surroundings, at offset: Int
    ) throws(JSONError) -> (task: PythonState.Task, left: [String]) {
        func broken(_ problem: String) -> JSONError { JSONError(problem, offset: offset) }
        if let id, id != key { throw broken("field 'task_id': it says \(id)") }
        if let problem = Bounds.problem(withName: key, what: "the id") { throw broken(problem) }
        guard let phase else { throw broken("field 'phase' is missing") }
        if let problem = Bounds.problem(withName: phase, what: "it") { throw broken("field 'phase': \(problem)") }
        let config = config ?? Array("{}".utf8)
        if config.count > Bounds.valueBytes {
            throw broken("field 'config' has \(config.count) bytes, at most 1 MiB is allowed")
        }
        guard let word = status else { throw broken("field 'status' is missing") }
        guard let status = TaskStatus(word: word), [.pending, .assigned, .complete, .failed].contains(status) else {
            throw broken("field 'status': '\(word)' is none of pending, assigned, complete, failed")
        }
        guard (0...Int64(PythonState.mostRetries)).contains(retries) else {
            throw broken("field 'retry_count': \(retries) is not within 0 to \(PythonState.mostRetries)")
        }
        if let maxRetries, !(0...Int64(Int32.max)).contains(maxRetries) {
            throw broken("field 'max_retries': \(maxRetries) is out of range")
        }
        if let priority, Int32(exactly: priority) == nil {
            throw broken("field 'priority': \(priority) is out of range")
        }
        var spec = TaskSpec(
            id: key, phase: phase, config: config, seed: seed ?? configSeed ?? TaskSpec.defaultSeed,
            outputDirectories: try outputDirectories(phase, surroundings, at: offset))
        spec.maxRetries = maxRetries.map { Int($0) } ?? TaskSpec.defaultMaxRetries
        spec.priority = priority.map { Int($0) } ?? 0
        var task = PythonState.Task(
            id: key, spec: spec, counter: Self.counter(in: key, phase: phase, seed: spec.seed), status: status,
            retries: Int(retries), lastError: lastError.map { Bounds.boundedError($0) })
        let left = try settle(&task, surroundings, at: offset)
        return (task, left)
    }

    /// Brings the assignment, the failures and the status together.
    private func settle(
        _ task: inout PythonState.Task, _ surroundings: PythonState.Surroundings, at offset: Int
    ) throws(JSONError) -> [String] {
        var left: [String] = []
        let since = try moment(surroundings, at: offset)
        if let worker, let problem = Bounds.problem(withName: worker, what: "it") {
            throw JSONError("field 'assigned_to': \(problem)", offset: offset)
        }
        switch task.status {
        case .assigned:
            guard worker != nil else {
                throw JSONError("field 'assigned_to' is missing: it is assigned", offset: offset)
            }
            guard since != nil else {
                throw JSONError("field 'assigned_at' is missing: it is assigned", offset: offset)
            }
            (task.worker, task.since) = (worker, since)
        case .pending:
            if worker != nil { left.append("it is pending, so 'assigned_to' is left out") }
        default:
            if let worker, let since {
                (task.worker, task.since) = (worker, since)
            } else if let worker {
                task.completedBy = task.status == .complete ? worker : nil
                left.append("'assigned_at' is missing, so 'assigned_to' (\(worker)) is left out")
            }
        }
        if task.status == .failed, task.retries == 0 {
            task.retries = 1
            left.append("it is failed with 'retry_count' 0, which becomes 1")
        }
        if task.retries == 0, lastError != nil, task.status != .complete {
            left.append("'retry_count' is 0, so 'last_error' is left out")
        }
        return left
    }

    private func moment(
        _ surroundings: PythonState.Surroundings, at offset: Int
    ) throws(JSONError) -> LogTime? {
        guard let assignedAt else { return nil }
        guard let (time, zone) = WallTime.isoFormat(assignedAt) else {
            throw JSONError(
                "field 'assigned_at': '\(assignedAt)' is no time such as 2025-12-19T23:10:15.123456", offset: offset)
        }
        guard let zone else { return surroundings.localTime(time) }
        return LogTime(microseconds: time.inUTC.microseconds - zone * 1_000_000)
    }

    private func outputDirectories(
        _ phase: String, _ surroundings: PythonState.Surroundings, at offset: Int
    ) throws(JSONError) -> [String] {
        var found: [String] = []
        let field = directories == nil ? "output_dir" : "output_dirs"
        for named in directories ?? directory.map({ [$0] }) ?? ["results_\(phase)"] {
            var path = named
            let inside = surroundings.dataDirectory + "/"
            if path.hasPrefix(inside) { path = String(path.dropFirst(inside.count)) }
            while path.count > 1, path.hasSuffix("/") { path.removeLast() }
            if let problem = Bounds.problem(withDirectory: path) {
                throw JSONError("field '\(field)': \(problem)", offset: offset)
            }
            if !found.contains(path) { found.append(path) }
        }
        return found.isEmpty ? ["results_\(phase)"] : found
    }

    /// The counter in `{phase}_{counter}_{seed}`; nil for an id of another form.
    static func counter(in id: String, phase: String, seed: [UInt8]) -> Int64? {
        let before = phase + "_"
        let after = ManagerState.pointID(phase: "", counter: 0, seed: seed).dropFirst(2)
        guard id.hasPrefix(before), id.hasSuffix(after), id.utf8.count > before.utf8.count + after.utf8.count else {
            return nil
        }
        let digits = id.utf8.dropFirst(before.utf8.count).dropLast(after.utf8.count)
        guard digits.count <= 15, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }
}

extension Array where Element == UInt8 {
    /// `withUnsafeBufferPointer` for a body that throws a typed error.
    fileprivate func withUnsafeBufferPointerThrowing<Value>(
        _ body: (UnsafeBufferPointer<UInt8>) throws(JSONError) -> Value
    ) throws(JSONError) -> Value {
        let outcome = withUnsafeBufferPointer { buffer -> Result<Value, JSONError> in
            do throws(JSONError) { return .success(try body(buffer)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }
}
