import EventLog

/// One transition, in the past tense: what `decide` yields and the journal keeps.
public enum Event: Sendable, Equatable {
    case added(id: String, spec: TaskSpec, counter: Int64?)
    case extended(task: String, outputDirectories: [String])
    case prioritised(task: String, priority: Int)
    case assigned(Assignment)
    case completed(Completion)
    case failed(Failure)
    /// `silence`: how it was told that the attempt is lost, where a limit of time told it.
    case requeued(task: String, reason: RequeueReason, silence: Silence? = nil)
    case cancelled(task: String, reason: String?)
    case held(task: String, reason: String?)
    case released(task: String)
    case started(version: String, host: String, pid: Int)
    case stopped
    case result(task: String, worker: String?, attempt: UInt32, result: [UInt8])
    case csvRead(CSVRead)
    /// Something that a fold may skip: its type and its members as JSON, each with its key.
    case note(type: String, members: [(key: String, json: [UInt8])])

    /// The type of the note by which an operator releases a worker that had failed too often in a row.
    public static let workerReleased = "worker_released"

    /// Equal when they say the same.
    public static func == (left: Event, right: Event) -> Bool {
        var a: [UInt8] = []
        var b: [UInt8] = []
        left.encode(actor: nil, to: &a)
        right.encode(actor: nil, to: &b)
        return a == b
    }

    /// A silence that was too long.
    public struct Silence: Sendable, Equatable {
        /// Which limit was passed.
        public enum Rule: String, Sendable {
            /// `--stale-after`.
            case staleAfter = "stale_after"
            /// `--worker-timeout`: for workers that announced heartbeats.
            case workerTimeout = "worker_timeout"
            /// `--stale-factor`: a multiple of the phase's median run.
            case phaseMedian = "phase_median"
        }

        /// Seconds since the attempt's last sign.
        public var seconds: Double
        /// The limit, in seconds.
        public var limitSeconds: Double
        /// Which limit it was.
        public var rule: Rule

        /// Makes one from its parts.
        public init(seconds: Double, limitSeconds: Double, rule: Rule) {
            self.seconds = seconds
            self.limitSeconds = limitSeconds
            self.rule = rule
        }
    }

    /// A task given to a worker.
    public struct Assignment: Sendable, Equatable {
        /// The task's id.
        public var task: String
        /// The worker's name; nil where there is none.
        public var worker: String
        /// The attempt's number; 0: never assigned.
        public var attempt: UInt32
        /// The GPU's number.
        public var gpu: Int64?
        /// The interval of heartbeats that the worker announced, in seconds.
        public var heartbeatSeconds: Double?
        /// The machine's name.
        public var host: String?
        /// When it was really assigned, where that was before it came into this journal.
        public var since: LogTime?
        /// The key that the claim named, so that a repetition gets the same; nil where it named none.
        public var claimKey: String?

        /// Makes one from its parts.
        public init(task: String, worker: String, attempt: UInt32) {
            self.task = task
            self.worker = worker
            self.attempt = attempt
        }
    }

    /// What a worker may tell of a run that ended.
    public struct Provenance: Sendable, Equatable {
        /// The machine's name.
        public var host: String?
        /// The command line, shortened.
        public var program: String?
        /// The exit status.
        public var exitCode: Int64?
        /// The signal that ended it.
        public var signal: Int64?
        /// Seconds from start to end.
        public var durationSeconds: Double?
        /// The greatest resident set, in bytes.
        public var maxRSSBytes: Int64?

        /// Makes one from its parts.
        public init() {}
    }

    /// A task that is complete.
    public struct Completion: Sendable, Equatable {
        /// The task's id.
        public var task: String
        /// The worker's name; nil where there is none.
        public var worker: String?
        /// The attempt's number; 0: never assigned.
        public var attempt: UInt32
        /// `worker`, `csv` or `operator`.
        public var via: String = "worker"
        /// A JSON object without insignificant white space.
        public var result: [UInt8]?
        /// True for an attempt that was not running any more.
        public var isLate = false
        /// Where it comes from.
        public var provenance = Provenance()
        /// The row that completed it, where one did.
        public var row: SourceRow?

        /// Makes one from its parts.
        public init(task: String, worker: String?, attempt: UInt32) {
            self.task = task
            self.worker = worker
            self.attempt = attempt
        }
    }

    /// A row of a result file.
    public struct SourceRow: Sendable, Equatable {
        /// The file's name, relative to the data directory where it stands in it.
        public var file: String
        /// The row's number: the header is 1.
        public var number: Int
        /// SHA-256 of the row's content, in hex.
        public var sha256: String

        /// Makes one from its parts.
        public init(file: String, number: Int, sha256: String) {
            self.file = file
            self.number = number
            self.sha256 = sha256
        }
    }

    /// How far a result file was read.
    public struct CSVRead: Sendable, Equatable {
        /// The file's name, relative to the data directory where it stands in it.
        public var file: String
        /// Bytes from the beginning, whole rows.
        public var bytes: Int64
        /// SHA-256 of those bytes, in hex.
        public var sha256: String
        /// Rows that spoke for tasks which were complete or cancelled.
        public var rows: [RowHash] = []
        /// Up to where rows count by their hash, as the file was begun anew; 0: none do.
        public var countsByHashTo: Int64 = 0

        /// Makes one from its parts.
        public init(file: String, bytes: Int64, sha256: String) {
            self.file = file
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// An attempt that failed.
    public struct Failure: Sendable, Equatable {
        /// The task's id.
        public var task: String
        /// The worker's name; nil where there is none.
        public var worker: String?
        /// The attempt's number; 0: never assigned.
        public var attempt: UInt32
        /// The error's text; nil where an imported failure has none.
        public var error: String?
        /// Where it comes from.
        public var provenance = Provenance()

        /// Makes one from its parts.
        public init(task: String, worker: String?, attempt: UInt32, error: String?) {
            self.task = task
            self.worker = worker
            self.attempt = attempt
            self.error = error
        }
    }
}
