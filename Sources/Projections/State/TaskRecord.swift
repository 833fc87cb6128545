import EventLog

/// One task in memory. Names are numbers of `ByteTable`s; texts stand in an arena. Never holds a reference type, so
/// copying a chunk of them is one memcpy.
struct TaskRecord: Sendable {
    /// No moment.
    static let never = Int64.min
    /// No number.
    static let none = UInt32.max

    var config = ByteArena.Reference()
    var lastError = ByteArena.Reference()
    var addedAt = TaskRecord.never
    var assignedAt = TaskRecord.never
    var finishedAt = TaskRecord.never
    var template: UInt32 = 0
    var outputDirectories: UInt32 = 0
    var seed: UInt32 = 0
    var attempt: UInt32 = 0
    var retryCount: UInt32 = 0
    var priority: Int32 = 0
    /// Who holds or held it: a worker's number.
    var worker = TaskRecord.none
    /// Whose completion made it complete, where the task is complete; the number of nobody is `none`.
    var completedBy = TaskRecord.none
    var reason = TaskRecord.none
    /// The interval of heartbeats that its running attempt announced, a JSON number in the table of texts.
    var heartbeat = TaskRecord.none
    /// The newest of its ended attempts, in the list of all.
    var endedAttempts = TaskRecord.none
    var status = TaskStatus.pending
    var hasResult = false
    var hasError = false

    /// How long an attempt ran, in microseconds; nil where this journal does not know it.
    ///
    /// An attempt that was assigned before its task was added was brought by an import: where it ended is another
    /// journal's, or a row or report of any time later. The same where its assignment is behind its end, as the other
    /// machine's clock was.
    func knownDuration(from start: Int64, to end: Int64) -> Int64? {
        start != Self.never && addedAt <= start && start <= end ? end - start : nil
    }
}

/// What tasks of one sweep's phase have in common.
struct TaskTemplate: Sendable, Hashable {
    var phase: UInt32
    var maxRetries: Int32
    /// JSON in the table of texts, or `TaskRecord.none`.
    var timeout = TaskRecord.none
    var after = TaskRecord.none
    var command = TaskRecord.none
    var key = TaskRecord.none
    var environment = TaskRecord.none
    /// Text, or `TaskRecord.none`.
    var workingDirectory = TaskRecord.none
    /// The list of `after` as numbers of phases' names stands with the phases.
}

/// An attempt that ended without completing its task.
struct EndedAttempt: Sendable {
    /// How it ended.
    enum Outcome: UInt8, Sendable, CaseIterable {
        case failed, stale, workerLost, returned, `operator`

        init(_ reason: RequeueReason) {
            self =
                switch reason {
                case .stale: .stale
                case .workerLost: .workerLost
                case .returned: .returned
                case .operator, .retry: .operator
                }
        }

        init?(word: String) {
            guard let match = Self.allCases.first(where: { $0.word == word }) else { return nil }
            self = match
        }

        var word: String {
            switch self {
            case .failed: "failed"
            case .stale: "stale"
            case .workerLost: "worker_lost"
            case .returned: "returned"
            case .operator: "operator"
            }
        }
    }

    var attempt: UInt32
    var worker: UInt32
    var assignedAt: Int64
    var endedAt: Int64
    var outcome: Outcome
    /// The one before it of the same task, or `TaskRecord.none`.
    var previous: UInt32
}
