import EventLog

/// The members of a state file on their way into a state.
struct StateReading {
    struct Ended {
        var attempt: Int64 = 0
        var worker: String?
        var assignedAt = TaskRecord.never
        var endedAt = TaskRecord.never
        var outcome = EndedAttempt.Outcome.failed
    }

    struct Task {
        var id = ""
        var config: [UInt8] = []
        var seed: [UInt8] = []
        var directories: [UInt8] = []
        var status = TaskStatus.pending
        var assignedTo: String?
        var completedBy: String??
        var assignedAt = TaskRecord.never
        var addedAt = TaskRecord.never
        var finishedAt = TaskRecord.never
        var retryCount: Int64 = 0
        var attempt: Int64 = 0
        var priority: Int64 = 0
        var lastError: String?
        var reason: String?
        var hasResult = false
        var attempts: [Ended] = []
    }

    var tasks: [Task] = []
    var more = MoreReading()
    var journal = StateDecoder.JournalMember()

    mutating func read(_ reader: inout JSONReader) throws(JSONError) {
        var copy = self
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "tasks":
                try reader.object { _, reader throws(JSONError) in copy.tasks.append(try Self.task(&reader)) }
            case "more": try copy.more.read(&reader)
            case "journal": copy.journal = try Self.journal(&reader)
            default: try reader.skip()
            }
        }
        self = copy
    }

    private static func journal(_ reader: inout JSONReader) throws(JSONError) -> StateDecoder.JournalMember {
        var member = StateDecoder.JournalMember()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "seq": member.position = LogPosition(UInt64(max(0, try reader.integer())))
            case "time": member.time = try time(&reader).map { LogTime(microseconds: $0) }
            case "crc":
                if reader.takeNull() { return }
                member.crc = UInt32(try reader.string(), radix: 16)
            default: try reader.skip()
            }
        }
        return member
    }

    private static func time(_ reader: inout JSONReader) throws(JSONError) -> Int64? {
        if reader.takeNull() { return nil }
        var text = try reader.string()
        let parsed = text.withUTF8 {
            $0.count == LogTime.writtenBytes ? $0.baseAddress.flatMap { LogTime(written: $0) } : nil
        }
        guard let parsed else { throw JSONError("no time", offset: reader.at) }
        return parsed.microseconds
    }

    private static func optionalString(_ reader: inout JSONReader) throws(JSONError) -> String? {
        reader.takeNull() ? nil : try reader.string()
    }

    private static func raw(_ reader: inout JSONReader) throws(JSONError) -> [UInt8] {
        var bytes: [UInt8] = []
        try reader.compact(into: &bytes)
        return bytes
    }

    private static func task(_ reader: inout JSONReader) throws(JSONError) -> Task {
        var task = Task()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "task_id": task.id = try reader.string()
            case "config": task.config = try raw(&reader)
            case "seed": task.seed = try raw(&reader)
            case "output_dirs": task.directories = try raw(&reader)
            case "status":
                guard let status = TaskStatus(word: try reader.string()) else {
                    throw JSONError("unknown status", offset: reader.at)
                }
                task.status = status
            case "assigned_to": task.assignedTo = try optionalString(&reader)
            case "completed_by": task.completedBy = .some(try optionalString(&reader))
            case "assigned_at": task.assignedAt = try time(&reader) ?? TaskRecord.never
            case "added_at": task.addedAt = try time(&reader) ?? TaskRecord.never
            case "finished_at": task.finishedAt = try time(&reader) ?? TaskRecord.never
            case "retry_count": task.retryCount = try reader.integer()
            case "attempt": task.attempt = try reader.integer()
            case "priority": task.priority = try reader.integer()
            case "last_error": task.lastError = try optionalString(&reader)
            case "reason": task.reason = try optionalString(&reader)
            case "has_result": task.hasResult = try reader.bool()
            case "attempts": try reader.array { reader throws(JSONError) in task.attempts.append(try ended(&reader)) }
            default: try reader.skip()
            }
        }
        return task
    }

    private static func ended(_ reader: inout JSONReader) throws(JSONError) -> Ended {
        var ended = Ended()
        try reader.object { key, reader throws(JSONError) in
            switch key {
            case "attempt": ended.attempt = try reader.integer()
            case "worker": ended.worker = try optionalString(&reader)
            case "assigned_at": ended.assignedAt = try time(&reader) ?? TaskRecord.never
            case "ended_at": ended.endedAt = try time(&reader) ?? TaskRecord.never
            case "outcome":
                let word = try reader.string()
                for outcome in [EndedAttempt.Outcome.failed, .stale, .workerLost, .returned, .operator]
                where outcome.word == word { ended.outcome = outcome }
            default: try reader.skip()
            }
        }
        return ended
    }

    /// The state that was read.
    func build() throws(JSONError) -> ManagerState {
        var state = ManagerState()
        state.position = journal.position
        state.time = journal.time
        state.crc = journal.crc ?? 0
        try more.build(&state)
        var template = 0
        for (number, task) in tasks.enumerated() {
            while template + 1 < more.templateRuns.count, more.templateRuns[template + 1].first <= number {
                template += 1
            }
            guard template < more.templateRuns.count,
                Int(more.templateRuns[template].second) < state.templates.count
            else { throw JSONError("task \(task.id) has no template", offset: 0) }
            state.restore(task, template: more.templateRuns[template].second)
        }
        for (task, interval) in more.heartbeats {
            guard task >= 0, task < state.tasks.count else { throw JSONError("no task \(task)", offset: 0) }
            state.tasks[task].heartbeat = state.word(interval)
        }
        return state
    }
}

extension ManagerState {
    fileprivate mutating func restore(_ task: StateReading.Task, template: UInt32) {
        var id = task.id
        let (number, isNew) = id.withUTF8 { ids.intern($0) }
        guard isNew else { return }
        var record = TaskRecord()
        record.config = task.config.withUnsafeBufferPointer { texts.append($0) }
        record.seed = word(task.seed)
        record.outputDirectories = word(task.directories)
        record.template = template
        record.status = task.status
        record.worker = workerNumber(task.assignedTo)
        record.completedBy =
            task.completedBy.map { workerNumber($0) } ?? (task.status == .complete ? record.worker : TaskRecord.none)
        record.assignedAt = task.assignedAt
        record.addedAt = task.addedAt
        record.finishedAt = task.finishedAt
        record.retryCount = UInt32(clamping: task.retryCount)
        record.attempt = UInt32(clamping: task.attempt)
        record.priority = Int32(clamping: task.priority)
        if var text = task.lastError {
            record.hasError = true
            record.lastError = text.withUTF8 { texts.append($0) }
        }
        if let reason = task.reason { record.reason = word(Array(reason.utf8)) }
        record.hasResult = task.hasResult
        for ended in task.attempts {
            attempts.append(
                EndedAttempt(
                    attempt: UInt32(clamping: ended.attempt), worker: workerNumber(ended.worker),
                    assignedAt: ended.assignedAt, endedAt: ended.endedAt, outcome: ended.outcome,
                    previous: record.endedAttempts))
            record.endedAttempts = UInt32(attempts.count - 1)
        }
        tasks.append(record)
        phaseCounts[Int(templates[Int(template)].phase)][task.status] += 1
        counts[task.status] += 1
        _ = number
    }

    private func workerNumber(_ name: String?) -> UInt32 {
        name.flatMap { workerNames.number(of: $0) }.map { UInt32($0) } ?? TaskRecord.none
    }
}
