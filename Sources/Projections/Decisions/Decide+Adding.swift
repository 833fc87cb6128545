import EventLog

/// What becomes of tasks that are asked for.
extension ManagerState {
    /// Whether a spec with an id can be added. `.existing` where the same content stands under the id.
    public enum Admission: Sendable, Equatable {
        case new
        case existing
    }

    /// Compares a spec that names its id with what stands. Throws `.invalid` or `.conflict`.
    public func admit(_ spec: TaskSpec, id: String) throws(Rejection) -> Admission {
        if let problem = Bounds.problem(withName: id, what: "task_id") { throw Rejection(.invalid, problem) }
        if let problem = Bounds.problem(withName: spec.phase, what: "phase") {
            throw Rejection(.invalid, "task \(id): \(problem)")
        }
        if spec.config.count > Bounds.valueBytes {
            throw Rejection(.invalid, "task \(id): config has \(spec.config.count) bytes, at most 1 MiB is allowed")
        }
        for directory in spec.outputDirectories {
            if let problem = Bounds.problem(withDirectory: directory) {
                throw Rejection(.invalid, "task \(id): \(problem)")
            }
        }
        if spec.outputDirectories.isEmpty { throw Rejection(.invalid, "task \(id): output_dirs is empty") }
        if let problem = Bounds.problem(withOptionsOf: spec) { throw Rejection(.invalid, "task \(id): \(problem)") }
        guard let number = taskNumber(id) else { return .new }
        let task = tasks[number]
        let samePhase = phaseNames.with(Int(phase(of: number))) { $0.elementsEqual(spec.phase.utf8) }
        guard samePhase else { throw conflict(id, "phase") }
        guard JSONEquality.equal(texts.bytes(task.config), spec.config) else { throw conflict(id, "config") }
        guard JSONEquality.equal(words.with(Int(task.seed)) { Array($0) }, spec.seed) else {
            throw conflict(id, "seed")
        }
        let directories = words.with(Int(task.outputDirectories)) { Self.strings($0) }
        guard directories.elementsEqual(spec.outputDirectories, by: { ExactText($0) == ExactText($1) }) else {
            throw conflict(id, "output_dirs")
        }
        return .existing
    }

    private func conflict(_ id: String, _ what: String) -> Rejection {
        Rejection(.conflict, "task \(id) stands already with another \(what): use another task_id")
    }

    /// The id that a sweep's point gets for a counter.
    public static func pointID(phase: String, counter: Int64, seed: [UInt8]) -> String {
        "\(phase)_\(counter)_\(seedText(seed))"
    }

    private static func seedText(_ seed: [UInt8]) -> String {
        guard seed.first == 34 else { return String(decoding: seed, as: UTF8.self) }
        return seed.withUnsafeBufferPointer {
            String(decoding: unescapedJSON(UnsafeBufferPointer(rebasing: $0[1..<($0.count - 1)])), as: UTF8.self)
        }
    }
}

/// Compares JSON values by meaning: numbers as numbers, objects without regard to the order of their keys.
public enum JSONEquality {
    /// Whether two compact JSON texts mean the same; false where one is broken.
    public static func equal(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        if left == right { return true }
        guard let a = value(left), let b = value(right) else { return false }
        return a == b
    }

    private indirect enum Value: Equatable {
        case object([ExactText: Value])
        case array([Value])
        case string(ExactText)
        case number(Double)
        case wholeNumber(Int64)
        case bool(Bool)
        case null
    }

    private static func value(_ bytes: [UInt8]) -> Value? {
        bytes.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            do throws(JSONError) { return try read(&reader) } catch { return nil }
        }
    }

    private static func read(_ reader: inout JSONReader) throws(JSONError) -> Value {
        switch try reader.kind() {
        case .object:
            var members: [ExactText: Value] = [:]
            try reader.object { key, reader throws(JSONError) in members[ExactText(key)] = try read(&reader) }
            return .object(members)
        case .array:
            var items: [Value] = []
            try reader.array { reader throws(JSONError) in items.append(try read(&reader)) }
            return .array(items)
        case .string: return .string(ExactText(try reader.string()))
        case .number:
            var raw: [UInt8] = []
            try reader.compact(into: &raw)
            let text = String(decoding: raw, as: UTF8.self)
            if let whole = Int64(text) { return .wholeNumber(whole) }
            // Whole numbers beyond 64 bits are compared by their digits: as doubles, neighbours would be equal.
            if text.utf8.allSatisfy({ $0 == 45 || (48...57).contains($0) }) {
                return .string(ExactText("number \(text)"))
            }
            let number = Double(text) ?? 0
            if let whole = Int64(exactly: number) { return .wholeNumber(whole) }
            return .number(number)
        case .bool: return .bool(try reader.bool())
        case .null:
            _ = reader.takeNull()
            return .null
        }
    }
}
