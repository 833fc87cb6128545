import EventLog

/// One transition, in the past tense: what `decide` yields and the journal keeps.
public enum Event: Sendable, Equatable {
    case added(id: String, spec: TaskSpec, counter: Int64?)
    case extended(task: String, outputDirectories: [String])
    case prioritised(task: String, priority: Int)
    case assigned(Assignment)
    case completed(Completion)
    case failed(Failure)
    case requeued(task: String, reason: RequeueReason)
    case cancelled(task: String, reason: String?)
    case held(task: String, reason: String?)
    case released(task: String)
    case started(version: String, host: String, pid: Int)
    case stopped
    case result(task: String, worker: String?, attempt: UInt32, result: [UInt8])
    case csvRead(file: String, bytes: Int64, sha256: String)
    /// Something that a fold may skip: its type and its members as JSON, each with its key.
    case note(type: String, members: [(key: String, json: [UInt8])])

    /// Equal when they say the same.
    public static func == (left: Event, right: Event) -> Bool {
        var a: [UInt8] = []
        var b: [UInt8] = []
        left.encode(actor: nil, to: &a)
        right.encode(actor: nil, to: &b)
        return a == b
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

        /// Makes one from its parts.
        public init(task: String, worker: String?, attempt: UInt32) {
            self.task = task
            self.worker = worker
            self.attempt = attempt
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
