/// A task as it is asked for: by a sweep's point, a request or a line of a file.
public struct TaskSpec: Sendable, Equatable {
    /// The task's id; nil for a sweep's point, which gets `{phase}_{counter}_{seed}` when it is added.
    public var id: String?
    /// The group that the task belongs to.
    public var phase: String
    /// A JSON object without insignificant white space; numbers and key order as given.
    public var config: [UInt8]
    /// A JSON number or string, as it stands in the config; `42` where there is none.
    public var seed: [UInt8]
    /// The directories that want the result, relative to the data directory; at least one.
    public var outputDirectories: [String]
    /// Higher is claimed first.
    public var priority: Int = 0
    /// How many failures are followed by another attempt.
    public var maxRetries: Int = TaskSpec.defaultMaxRetries
    /// Seconds that an attempt may run; nil for no limit.
    public var timeoutSeconds: Double?
    /// Phases that must be complete before the task can be claimed.
    public var after: [String] = []
    /// The program and its arguments, with `{key}` in them; nil where the worker brings its own.
    public var command: [String]?
    /// The columns in which a result row must agree with the task; nil: rows match by task_id only.
    public var key: [String]?
    /// Environment variables for the program, in the order given.
    public var environment: [EnvironmentVariable] = []
    /// The program's working directory; nil for the worker's.
    public var workingDirectory: String?

    /// The number of retries of a task that names none.
    public static let defaultMaxRetries = 3
    /// The seed of a task that names none, as JSON.
    public static let defaultSeed: [UInt8] = Array("42".utf8)

    /// Makes a task with the defaults for all that is optional.
    public init(
        id: String? = nil, phase: String, config: [UInt8], seed: [UInt8] = TaskSpec.defaultSeed,
        outputDirectories: [String]
    ) {
        self.id = id
        self.phase = phase
        self.config = config
        self.seed = seed
        self.outputDirectories = outputDirectories
    }
}

/// One variable of a program's environment.
public struct EnvironmentVariable: Sendable, Equatable {
    /// The variable's name.
    public var name: String
    /// Its value.
    public var value: String

    /// Makes a variable.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

extension Bounds {
    /// Bytes of a task's command, env, key, after, cwd and output_dirs together: its line must stay below 4 MiB.
    public static let optionBytes = 1 << 20

    /// Why a task's options cannot be taken; nil where they can.
    static func problem(withOptionsOf spec: TaskSpec) -> String? {
        var bytes = spec.workingDirectory?.utf8.count ?? 0
        for text in [spec.after, spec.command ?? [], spec.key ?? [], spec.outputDirectories].joined() {
            bytes += text.utf8.count + 3
        }
        for variable in spec.environment { bytes += variable.name.utf8.count + variable.value.utf8.count + 6 }
        if bytes > optionBytes {
            return "command, env, key, after, cwd and output_dirs have \(bytes) bytes, at most 1 MiB is allowed"
        }
        if spec.seed.count > nameBytes { return "seed has \(spec.seed.count) bytes, at most \(nameBytes) are allowed" }
        if let command = spec.command, command.first?.isEmpty ?? true { return "command has no program" }
        if let timeout = spec.timeoutSeconds, timeout <= 0 { return "timeout_s is \(timeout); it must be over 0" }
        if let name = spec.after.first(where: { problem(withName: $0, what: "") != nil }) {
            return "after names '\(name)', which can be no phase"
        }
        return spec.key.flatMap { problem(withKey: $0, config: spec.config) }
    }

    /// Why these columns cannot tell a row's task; nil where they can.
    private static func problem(withKey columns: [String], config: [UInt8]) -> String? {
        if columns.isEmpty { return "key is empty; name at least one column, or leave key out" }
        var known: Set = ["phase", "seed"]
        config.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            do throws(JSONError) {
                try reader.object { name, reader throws(JSONError) in
                    known.insert(name)
                    try reader.skip()
                }
            } catch { return }  // it was read before; what is found of it counts
        }
        return columns.first { !known.contains($0) }.map {
            "key names '\($0)', which is neither phase, seed nor a key of the config; take it out"
        }
    }
}
