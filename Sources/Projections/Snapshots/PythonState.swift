import EventLog

/// A Python manager's `manager_state.json`, read: what its tasks are and where they stand.
///
/// Pure: the caller says what a local time means and where the data directory is. Broken files are refused as a whole,
/// with the task and the field named; what the journal cannot say is left out and told in `warnings`.
public struct PythonState: Sendable {
    /// One task of the file.
    public struct Task: Sendable, Equatable {
        /// The task's id.
        public var id: String
        /// What it is.
        public var spec: TaskSpec
        /// The counter in an id of the form `{phase}_{counter}_{seed}`; nil for other ids.
        public var counter: Int64?
        /// Pending, assigned, complete or failed.
        public var status: TaskStatus
        /// Who held it last; nil where nobody, or where the moment is not known.
        public var worker: String?
        /// When it was assigned; nil exactly where `worker` is.
        public var since: LogTime?
        /// Who completed it, where the moment of the assignment is not known.
        public var completedBy: String?
        /// How often it failed.
        public var retries: Int
        /// The last failure's text; nil where the file has none.
        public var lastError: String?
    }

    /// The tasks, in the file's order.
    public internal(set) var tasks: [Task] = []
    /// What was left out, as sentences.
    public internal(set) var warnings: [String] = []

    /// The most failures of one task: all of its events fit into one command.
    public static let mostRetries = 1000

    /// What the caller knows and the file does not say.
    public struct Surroundings: Sendable {
        /// The moment that a naive local time names.
        public var localTime: @Sendable (WallTime) -> LogTime
        /// The data directory's absolute path: absolute output directories inside it become relative.
        public var dataDirectory: String

        /// Puts the two together.
        public init(dataDirectory: String, localTime: @escaping @Sendable (WallTime) -> LogTime) {
            self.dataDirectory = dataDirectory
            self.localTime = localTime
        }
    }

    /// Reads a whole file. Throws the first problem, with its byte.
    public static func read(_ bytes: [UInt8], _ surroundings: Surroundings) throws(JSONError) -> PythonState {
        var state = PythonState()
        var failure: JSONError?
        bytes.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            do throws(JSONError) { try state.readFile(&reader, surroundings) } catch { failure = error }
        }
        if let failure { throw failure }
        return state
    }

    private mutating func readFile(_ reader: inout JSONReader, _ surroundings: Surroundings) throws(JSONError) {
        var copy = self
        var hasTasks = false
        try reader.object { key, reader throws(JSONError) in
            guard key == "tasks" else { return try reader.skip() }
            hasTasks = true
            guard try reader.kind() == .object else {
                throw JSONError("'tasks' is no object of tasks by their ids", offset: reader.at)
            }
            try reader.object { id, reader throws(JSONError) in
                try copy.readTask(id, &reader, surroundings)
            }
        }
        try reader.finish()
        guard hasTasks else { throw JSONError("there is no member 'tasks'", offset: 0) }
        self = copy
    }

    private mutating func readTask(
        _ id: String, _ reader: inout JSONReader, _ surroundings: Surroundings
    ) throws(JSONError) {
        let start = reader.at
        var fields = PythonTaskFields()
        do throws(JSONError) {
            guard try reader.kind() == .object else { throw JSONError("it is no object", offset: reader.at) }
            try reader.object { key, reader throws(JSONError) in
                do throws(JSONError) { try fields.read(key, &reader) } catch {
                    throw JSONError("field '\(key)': \(error.problem)", offset: error.offset)
                }
            }
            let (task, left) = try fields.task(id, surroundings, at: start)
            tasks.append(task)
            warnings += left.map { "task \(id): \($0)" }
        } catch {
            throw JSONError("task \(id): \(error.problem)", offset: error.offset)
        }
    }

    /// How many tasks have a status.
    public func count(_ status: TaskStatus) -> Int { tasks.count { $0.status == status } }
}

/// A time of day on a calendar, without a zone.
public struct WallTime: Sendable, Equatable {
    /// The day.
    public let date: CivilDate
    /// Seconds since its midnight.
    public let secondOfDay: Int64
    /// Microseconds of the second.
    public let microsecond: Int64

    /// Makes a time from its parts.
    public init(date: CivilDate, secondOfDay: Int64, microsecond: Int64) {
        self.date = date
        self.secondOfDay = secondOfDay
        self.microsecond = microsecond
    }

    /// The moment where the time is meant in UTC.
    public var inUTC: LogTime {
        LogTime(microseconds: (date.daysSince1970 * 86_400 + secondOfDay) * 1_000_000 + microsecond)
    }

    /// Reads what Python's `isoformat` writes: `2025-12-19T23:10:15`, with or without a fraction, maybe with a zone.
    /// The second value is the zone's offset in seconds; nil for a naive time. Nil: it is no such text.
    public static func isoFormat(_ text: String) -> (time: WallTime, offsetSeconds: Int64?)? {
        let bytes = Array(text.utf8)
        func number(_ start: Int, _ count: Int) -> Int64? {
            guard start + count <= bytes.count else { return nil }
            var value: Int64 = 0
            for byte in bytes[start..<(start + count)] {
                guard (48...57).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - 48)
            }
            return value
        }
        guard bytes.count >= 19, bytes[4] == 45, bytes[7] == 45, bytes[10] == 84 || bytes[10] == 32, bytes[13] == 58,
            bytes[16] == 58, let year = number(0, 4), let month = number(5, 2), let day = number(8, 2),
            let hour = number(11, 2), let minute = number(14, 2), let second = number(17, 2), (1...12).contains(month),
            (1...31).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        let date = CivilDate(year: year, month: month, day: day)
        guard CivilDate(daysSince1970: date.daysSince1970) == date else { return nil }
        var at = 19
        var microsecond: Int64 = 0
        if at < bytes.count, bytes[at] == 46 {
            let digits = bytes[(at + 1)...].prefix { (48...57).contains($0) }.count
            guard (1...6).contains(digits), let fraction = number(at + 1, digits) else { return nil }
            microsecond = (digits..<6).reduce(fraction) { value, _ in value * 10 }
            at += 1 + digits
        }
        let time = WallTime(
            date: date, secondOfDay: (hour * 60 + minute) * 60 + second, microsecond: microsecond)
        if at == bytes.count { return (time, nil) }
        if bytes[at] == 90, at + 1 == bytes.count { return (time, 0) }
        guard bytes[at] == 43 || bytes[at] == 45, let hours = number(at + 1, 2), at + 6 == bytes.count,
            bytes[at + 3] == 58, let minutes = number(at + 4, 2), hours < 24, minutes < 60
        else { return nil }
        let offset = (hours * 60 + minutes) * 60
        return (time, bytes[at] == 45 ? -offset : offset)
    }
}
