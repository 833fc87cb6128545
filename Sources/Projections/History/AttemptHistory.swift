import EventLog

/// What the journal tells of one attempt of a task.
public struct AttemptRecord: Sendable, Equatable {
    /// The attempt's number; 0: a completion of a task that was never assigned.
    public var attempt: UInt32
    /// Who had it.
    public var worker: String?
    /// When it was assigned.
    public var start: LogTime?
    /// When it ended; nil while it runs.
    public var end: LogTime?
    /// `running`, `completed`, `superseded` by an older attempt's completion; else as in the state's `attempts`: `failed`,
    /// `stale`, `worker_lost`, `returned`, `operator`.
    public var outcome = "running"
    /// True where it had ended before its task was imported: `end` is the moment of the import, and how long it ran is not
    /// known.
    public var endedBeforeImport = false
    /// What the operator did that ended it: `cancelled`, `requeued`; nil for any other end.
    public var act: String?
    /// The GPU that it was given.
    public var gpu: Int64?
    /// True where its completion came when it was not running any more.
    public var isLate = false
    /// Who told of the completion: `worker`, `csv`, `operator`.
    public var via: String?
    /// The error of a failure.
    public var error: String?
    /// The result, a JSON object.
    public var result: [UInt8]?
    /// What the worker told of the run.
    public var provenance = Event.Provenance()

    init(_ attempt: UInt32) { self.attempt = attempt }

    /// An import adds a task with all that it was, at one moment: only assignments have times of their own.
    mutating func end(at time: LogTime, ofTaskAddedAt addedAt: LogTime?) {
        end = time
        endedBeforeImport = time == addedAt && start != nil && start != time
    }

    /// How long it ran, in seconds, by when it was assigned and when it ended; nil while it runs, and where that is not
    /// known.
    public var seconds: Double? {
        guard !endedBeforeImport, let start, let end else { return nil }
        return max(0, end.seconds(since: start))
    }
}

/// Folds the events of one task into its attempts.
public struct AttemptHistory: Sendable {
    /// The attempts, in the order in which they came.
    public private(set) var attempts: [AttemptRecord] = []
    /// When the task was added.
    private var addedAt: LogTime?

    /// No event yet; the attempts of before where earlier events were discarded.
    public init(from beginning: TaskBeginning? = nil) {
        attempts = beginning?.attempts ?? []
        addedAt = beginning?.addedAt
    }

    /// Takes the next event of the task: its line's body. Throws for a body that is no event.
    public mutating func apply(_ body: UnsafeBufferPointer<UInt8>, at time: LogTime) throws(EventError) {
        let event = try EventView(body)
        switch event.kind {
        case .added: addedAt = addedAt ?? time
        case .assigned:
            var record = AttemptRecord(event.attempt)
            record.worker = event.worker.map(Self.text)
            record.start = event.since ?? time
            record.gpu = Members(body).gpu
            attempts.append(record)
        case .completed:
            end(event.attempt, event.worker, at: time) { record in
                record.outcome = "completed"
                let members = Members(body)
                record.provenance = members.provenance
                record.isLate = members.isLate
                record.via = members.via
                record.result = event.result.map { Array($0) }
            }
        case .failed:
            end(event.attempt, event.worker, at: time) { record in
                record.outcome = "failed"
                record.error = Self.text(event.error)
                record.provenance = Members(body).provenance
            }
        case .requeued:
            let reason = event.reason.map(Self.text) ?? "operator"
            endRunning(reason, reason == "operator" ? "requeued" : nil, at: time)
        case .cancelled: endRunning("operator", "cancelled", at: time)
        case .result:
            guard let index = attempts.lastIndex(where: { $0.attempt == event.attempt }) else { return }
            attempts[index].result = event.result.map { Array($0) }
        default: return
        }
    }

    private static func text(_ bytes: EventView.Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

    private mutating func endRunning(_ outcome: String, _ act: String? = nil, at time: LogTime) {
        guard let index = attempts.indices.last, attempts[index].end == nil else { return }
        attempts[index].end(at: time, ofTaskAddedAt: addedAt)
        attempts[index].outcome = outcome
        attempts[index].act = act
    }

    /// Ends the attempt that an event names. A completion by an older one ends what runs, too.
    private mutating func end(
        _ attempt: UInt32, _ worker: EventView.Bytes?, at time: LogTime, _ change: (inout AttemptRecord) -> Void
    ) {
        if let last = attempts.indices.last, attempts[last].end == nil, attempts[last].attempt != attempt {
            endRunning("superseded", at: time)
        }
        let index: Int
        if let known = attempts.lastIndex(where: { $0.attempt == attempt }) {
            index = known
        } else {
            var record = AttemptRecord(attempt)
            record.worker = worker.map(Self.text)
            attempts.append(record)
            index = attempts.count - 1
        }
        attempts[index].end(at: time, ofTaskAddedAt: addedAt)
        change(&attempts[index])
    }

    /// The members that the fold does not need.
    private struct Members {
        var provenance = Event.Provenance()
        var isLate = false
        var via: String?
        var gpu: Int64?

        init(_ body: UnsafeBufferPointer<UInt8>) {
            let object = [123] + Array(body) + [125]
            object.withUnsafeBufferPointer { buffer in
                var reader = JSONReader(buffer, formOnly: true)
                do throws(JSONError) {
                    try reader.object { key, reader throws(JSONError) in try take(key, &reader) }
                } catch { return }  // members of another form than ours: what was read so far is shown
            }
        }

        private mutating func take(_ key: String, _ reader: inout JSONReader) throws(JSONError) {
            if reader.takeNull() { return }
            switch key {
            case "host": provenance.host = try reader.string()
            case "program": provenance.program = try reader.string()
            case "exit_code": provenance.exitCode = try reader.integer()
            case "signal": provenance.signal = try reader.integer()
            case "duration_s": provenance.durationSeconds = try reader.double()
            case "max_rss_bytes": provenance.maxRSSBytes = try reader.integer()
            case "late": isLate = try reader.bool()
            case "via": via = try reader.string()
            case "gpu": gpu = try reader.integer()
            default: try reader.skip()
            }
        }
    }
}
