import Projections

/// What a worker needs of a manager: tasks, and somebody who takes their ends.
///
/// The manager in the same process implements it for `manager run`; a client of the TCP protocol implements it for
/// a worker on another machine. Every answer that says something was taken is given only when it is durable.
/// All calls may come from several tasks at once. A call that is cancelled returns soon; a cancelled `claim` either
/// assigns nothing or still returns what it assigned.
protocol WorkerPort: Sendable {
    /// Asks for at most `count` tasks and waits up to `wait` for the first one; empty when there was none.
    ///
    /// `heartbeat` is the interval that the worker announces. Throws when the manager cannot be asked or refuses.
    func claim(worker: String, count: Int, wait: Duration, heartbeat: Duration)
        async throws(WorkerPortError) -> [ClaimedTask]

    /// Says that an attempt ended well; `result` is a compact JSON object, nil for none.
    func complete(worker: String, task: String, attempt: UInt32, result: [UInt8]?, report: RunReport)
        async -> DeliveryAnswer

    /// Says that an attempt failed; `error` is at most 4 KiB.
    func fail(worker: String, task: String, attempt: UInt32, error: String, report: RunReport) async -> DeliveryAnswer

    /// Gives an attempt back: the task becomes pending, without costing a retry.
    func giveBack(worker: String, task: String, attempt: UInt32) async -> DeliveryAnswer

    /// Says that attempts are alive. Answers in the order of `attempts`: as soon as one of them is to stop,
    /// else after `wait`. Where the manager cannot be asked, all go on.
    func heartbeat(worker: String, attempts: [AttemptReference], wait: Duration) async -> [HeartbeatAnswer]

    /// The same for one attempt whose program says how far it is, from 0 to 1; nil where it says nothing.
    func heartbeat(
        worker: String, attempts: [AttemptReference], progress: Double?, wait: Duration
    ) async -> [HeartbeatAnswer]
}

extension WorkerPort {
    func heartbeat(
        worker: String, attempts: [AttemptReference], progress: Double?, wait: Duration
    ) async -> [HeartbeatAnswer] {
        await heartbeat(worker: worker, attempts: attempts, wait: wait)
    }
}

/// One attempt of one task.
struct AttemptReference: Sendable, Hashable {
    /// The task's id.
    let task: String
    /// The attempt's number, from 1.
    let attempt: UInt32

    static func == (left: Self, right: Self) -> Bool {
        left.attempt == right.attempt && ExactText(left.task) == ExactText(right.task)
    }

    func hash(into hasher: inout Hasher) {
        hasher.combine(ExactText(task))
        hasher.combine(attempt)
    }
}

/// Whether an attempt's program goes on.
enum HeartbeatAnswer: Sendable, Equatable {
    /// The attempt is still the running one.
    case goOn
    /// The attempt was cancelled or superseded: its program is to be stopped, its end interests nobody.
    case stop
}

/// What became of an end that was delivered.
enum DeliveryAnswer: Sendable, Equatable {
    /// It is durable with the manager. `late`: the attempt was no longer the running one; `duplicate`: the manager
    /// had it already and wrote nothing.
    case accepted(late: Bool, duplicate: Bool)
    /// The manager will never take it (409 and the like): drop it. The text says why.
    case refused(String)
    /// Not now (no connection, busy, disk full): keep it and try again. The text says why.
    case unavailable(String)

    /// Taken as it came.
    static let taken = DeliveryAnswer.accepted(late: false, duplicate: false)
}

/// Why a claim gave no answer.
enum WorkerPortError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The manager cannot be asked now (no connection, busy, disk full); trying again may help.
    case unavailable(String)
    /// The manager refuses this worker (its name, its token); trying again does not help.
    case refused(String)

    /// True where trying again may help.
    var isTemporary: Bool { if case .unavailable = self { true } else { false } }

    /// One sentence.
    var description: String {
        switch self {
        case .unavailable(let reason): "the manager gives no tasks now: \(reason)"
        case .refused(let reason): "the manager refuses this worker: \(reason)"
        }
    }
}

/// A task as a worker gets it: one attempt to run.
struct ClaimedTask: Sendable, Equatable {
    /// The task's id, 1 to 200 bytes.
    var id: String
    /// The group that it belongs to.
    var phase: String
    /// A JSON object without insignificant white space.
    var config: [UInt8]
    /// A JSON number or string.
    var seed: [UInt8]
    /// The first of the output directories, relative to the data directory; logs go there.
    var outputDirectory: String
    /// All directories that want the result.
    var outputDirectories: [String]
    /// The attempt's number, from 1.
    var attempt: UInt32
    /// Seconds that the program may run; nil for no limit.
    var timeoutSeconds: Double?
    /// The phase's own command, which goes before the worker's; nil where it has none.
    var command: [String]?
    /// Variables for the program, in the order given.
    var environment: [EnvironmentVariable] = []
    /// The program's working directory; nil for the worker's.
    var workingDirectory: String?

    /// Task and attempt.
    var reference: AttemptReference { AttemptReference(task: id, attempt: attempt) }
}

/// Where a result comes from: what ran where, how it ended, what it used.
struct RunReport: Sendable, Equatable {
    /// The machine's name.
    var host: String
    /// The command line, shortened to 256 bytes; nil where nothing was started.
    var program: String?
    /// The exit status; nil where it did not exit by itself.
    var exitCode: Int32?
    /// The signal that ended it; nil where none did.
    var signal: Int32?
    /// Seconds from start to end.
    var durationSeconds: Double
    /// The greatest resident set of the program and the children it waited for, in bytes; nil where unknown.
    var maxRSSBytes: Int64?
}
