import EventLog

/// The projection of the journal: every task, worker and phase as of one event.
///
/// A function of the events alone. Copies are cheap (chunks are shared), so a snapshot holds one while the manager
/// goes on. `apply` is the only way that it changes.
public struct ManagerState: Sendable {
    /// The last event that was folded.
    public internal(set) var position = LogPosition.zero
    /// That event's time; nil before the first.
    public internal(set) var time: LogTime?
    /// The checksum of that event's line.
    public internal(set) var crc: UInt32 = 0

    /// Ids of tasks; a task's number is its place in the order of adding.
    var ids = ByteTable()
    var tasks = ChunkedArray<TaskRecord>()
    var texts = ByteArena()
    /// Small repeated texts: seeds, output_dirs, reasons, the parts of templates.
    var words = ByteTable()
    var templates: [TaskTemplate] = []
    var templateNumbers: [TaskTemplate: UInt32] = [:]
    var attempts = ChunkedArray<EndedAttempt>()
    var phaseNames = ByteTable()
    /// By phase: how many tasks have each status.
    var phaseCounts: [StatusCounts] = []
    var workerNames = ByteTable()
    var workers: [WorkerRecord] = []
    /// Losses in a row by task, since the newest start, completion, failure or operator's act.
    var losses: [UInt32: UInt32] = [:]
    /// The greatest `counter` of any added task.
    var greatestCounter: Int64 = -1
    var start: StartRecord?
    /// How far each result file was read.
    var filesRead: [String: FileRead] = [:]
    /// Rows of others that have spoken for a task.
    var rowMemory = RowMemory()
    /// Claims that named a key.
    var claimMemory = ClaimMemory()
    /// Tasks that were opened again after they were complete or cancelled, with their latest attempt then.
    var reopened: [UInt32: UInt32] = [:]
    /// Which tasks can be claimed, in order; built when it is first asked for.
    var claimOrder = ClaimOrder()
    /// The total of all phases.
    public internal(set) var counts = StatusCounts()

    /// The empty state, before the first event.
    public init() {}

    /// The newest start of a manager.
    struct StartRecord: Sendable, Equatable {
        var position: UInt64
        var time: Int64
        var version: String
        var host: String
        var pid: Int64
        var count: Int64
    }

    /// How far a result file was read.
    public struct FileRead: Sendable, Equatable {
        /// Bytes from the beginning.
        public var bytes: Int64
        /// SHA-256 of those bytes, in hex.
        public var sha256: String
        /// Up to where rows count by their hash, as the file was begun anew; 0: none do.
        public var countsByHashTo: Int64

        /// Makes one from its parts.
        public init(bytes: Int64, sha256: String, countsByHashTo: Int64 = 0) {
            self.bytes = bytes
            self.sha256 = sha256
            self.countsByHashTo = countsByHashTo
        }
    }

    /// How many tasks there are.
    public var taskCount: Int { tasks.count }

    /// The names of the phases, in the order in which they first came.
    public var phases: [String] { (0..<phaseNames.count).map { phaseNames.text($0) } }

    /// How many tasks of a phase have each status; nil for a phase that has none.
    public func counts(ofPhase phase: String) -> StatusCounts? { phaseNames.number(of: phase).map { phaseCounts[$0] } }

    /// How far a result file was read; nil where never.
    public func fileRead(_ path: String) -> FileRead? { filesRead[path] }

    /// The names of the result files that were read, sorted.
    public var filesReadNames: [String] { filesRead.keys.sorted() }

    /// Whether this can be a later state of the same journal: every task of the other one stands, with its phase, config
    /// and no later attempt.
    public func continues(_ earlier: ManagerState) -> Bool {
        earlier.position <= position
            && (0..<earlier.tasks.count).allSatisfy { number in
                guard let own = taskNumber(earlier.ids.text(number)) else { return false }
                return tasks[own].attempt >= earlier.tasks[number].attempt
                    && tasks[own].addedAt == earlier.tasks[number].addedAt
                    && texts.bytes(tasks[own].config) == earlier.texts.bytes(earlier.tasks[number].config)
            }
    }

    /// The position of the newest `started` event; nil before the first.
    public var newestStart: LogPosition? { start.map { LogPosition($0.position) } }

    /// The counter that the next sweep's point gets.
    public var nextCounter: Int64 { greatestCounter == .max ? .max : greatestCounter + 1 }

    /// The number of a task; nil for an id that does not stand.
    public func taskNumber(_ id: String) -> Int? { ids.number(of: id) }
}

/// How many tasks have each status.
public struct StatusCounts: Sendable, Equatable {
    /// By the status's raw value.
    var counts: (Int, Int, Int, Int, Int, Int) = (0, 0, 0, 0, 0, 0)

    /// No tasks.
    public init() {}

    /// The number for one status.
    public subscript(status: TaskStatus) -> Int {
        get {
            switch status {
            case .pending: counts.0
            case .assigned: counts.1
            case .complete: counts.2
            case .failed: counts.3
            case .cancelled: counts.4
            case .held: counts.5
            }
        }
        set {
            switch status {
            case .pending: counts.0 = newValue
            case .assigned: counts.1 = newValue
            case .complete: counts.2 = newValue
            case .failed: counts.3 = newValue
            case .cancelled: counts.4 = newValue
            case .held: counts.5 = newValue
            }
        }
    }

    /// All tasks.
    public var total: Int { counts.0 + counts.1 + counts.2 + counts.3 + counts.4 + counts.5 }

    /// Equal when they say the same.
    public static func == (left: Self, right: Self) -> Bool { left.counts == right.counts }
}
