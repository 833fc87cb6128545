import CScan
import EventLog

/// A state file whose checksum is right, on its way into a state.
///
/// Tasks come before the member `more` that numbers workers and templates, so workers get numbers for the time being,
/// which `build` replaces.
final class StateReading {
    private(set) var more = MoreReading()
    private var journal = StateDecoder.JournalMember()
    private var state = ManagerState()
    /// The workers that tasks name, numbered as they come.
    private var names = ByteTable()

    /// Reads the whole file.
    func read(_ file: UnsafeBufferPointer<UInt8>) throws(JSONError) {
        // A member's end is only known when it has been read: the tasks are entered without looking for theirs first.
        let opening = Array("{\"tasks\":{".utf8)
        guard let base = file.baseAddress, file.starts(with: opening) else {
            throw JSONError("it does not begin with the tasks", offset: 0)
        }
        let end = base + file.count
        var p = base + opening.count
        var member = cscan_member()
        while p < end, p.pointee != 125 {
            guard let next = cscan_member(p, end, &member) else {
                throw JSONError("a task is broken", offset: p - base)
            }
            try readTask(TrustedJSON(member))
            p = next
        }
        p += 1
        guard p < end, p.pointee == 44 else { throw JSONError("a comma is due behind the tasks", offset: p - base) }
        p += 1
        while p < end, p.pointee != 125 {
            guard let next = cscan_member(p, end, &member) else {
                throw JSONError("a member is broken", offset: p - base)
            }
            if member.isKey("more") {
                var reader = JSONReader(TrustedJSON(member).bytes)
                try more.read(&reader)
            } else if member.isKey("journal") {
                try readJournal(TrustedJSON(member))
            }
            p = next
        }
    }

    private func readJournal(_ value: TrustedJSON) throws(JSONError) {
        var found = StateDecoder.JournalMember()
        try value.forEachMember { member throws(JSONError) in
            let value = TrustedJSON(member)
            if member.isKey("seq") {
                found.position = LogPosition(UInt64(max(0, value.integer ?? 0)))
            } else if member.isKey("time") {
                found.time = try value.time().map { LogTime(microseconds: $0) }
            } else if member.isKey("crc") {
                found.crc = value.text.flatMap { UInt32($0, radix: 16) }
            }
        }
        journal = found
    }

    private func readTask(_ value: TrustedJSON) throws(JSONError) {
        var hasID = false
        var record = TaskRecord()
        (record.seed, record.outputDirectories) = (TaskRecord.none, TaskRecord.none)
        var hasConfig = false
        var completedBy: UInt32?
        try value.forEachMember { member throws(JSONError) in
            let value = TrustedJSON(member)
            switch member.key_word {
            case cscan_member.word("task_id"):
                hasID = value.withText { state.ids.intern($0).isNew } ?? false
                guard hasID else { throw JSONError("a task without an id of its own", offset: 0) }
            case cscan_member.word("config"):
                record.config = state.texts.append(value.bytes)
                hasConfig = true
            case cscan_member.word("seed"): record.seed = state.word(value.bytes)
            case cscan_member.word("output_dirs") where member.isKey("output_dirs"):
                record.outputDirectories = state.word(value.bytes)
            case cscan_member.word("status"): record.status = try status(value)
            case cscan_member.word("assigned_to") where member.isKey("assigned_to"): record.worker = worker(value)
            case cscan_member.word("completed_by") where member.isKey("completed_by"): completedBy = worker(value)
            case cscan_member.word("assigned_at") where member.isKey("assigned_at"):
                record.assignedAt = try value.time() ?? TaskRecord.never
            case cscan_member.word("added_at"): record.addedAt = try value.time() ?? TaskRecord.never
            case cscan_member.word("finished_at"): record.finishedAt = try value.time() ?? TaskRecord.never
            case cscan_member.word("retry_count"): record.retryCount = UInt32(clamping: value.integer ?? 0)
            case cscan_member.word("attempt"): record.attempt = UInt32(clamping: value.integer ?? 0)
            case cscan_member.word("priority"): record.priority = Int32(clamping: value.integer ?? 0)
            case cscan_member.word("last_error"):
                guard let error = value.withText({ state.texts.append($0) }) else { return }
                record.hasError = true
                record.lastError = error
            case cscan_member.word("reason"):
                record.reason = value.withText { state.word($0) } ?? TaskRecord.none
            case cscan_member.word("has_result"): record.hasResult = value.isTrue
            case cscan_member.word("attempts"): record.endedAttempts = try readAttempts(value)
            default: return
            }
        }
        guard hasID, hasConfig, record.seed != TaskRecord.none, record.outputDirectories != TaskRecord.none else {
            throw JSONError("a task without an id, config, seed or output_dirs", offset: 0)
        }
        record.completedBy = completedBy ?? (record.status == .complete ? record.worker : TaskRecord.none)
        state.tasks.append(record)
    }

    private func status(_ value: TrustedJSON) throws(JSONError) -> TaskStatus {
        guard let status = value.text.flatMap({ TaskStatus(word: $0) }) else {
            throw JSONError("unknown status", offset: 0)
        }
        return status
    }

    private func worker(_ value: TrustedJSON) -> UInt32 {
        value.withText { UInt32(names.intern($0).number) } ?? TaskRecord.none
    }

    private func readAttempts(_ value: TrustedJSON) throws(JSONError) -> UInt32 {
        var newest = TaskRecord.none
        try value.forEachElement { element throws(JSONError) in
            var ended = EndedAttempt(
                attempt: 0, worker: TaskRecord.none, assignedAt: TaskRecord.never, endedAt: TaskRecord.never,
                outcome: .failed, previous: newest)
            try element.forEachMember { member throws(JSONError) in
                let value = TrustedJSON(member)
                switch member.key_word {
                case cscan_member.word("attempt"): ended.attempt = UInt32(clamping: value.integer ?? 0)
                case cscan_member.word("worker"): ended.worker = worker(value)
                case cscan_member.word("assigned_at"): ended.assignedAt = try value.time() ?? TaskRecord.never
                case cscan_member.word("ended_at"): ended.endedAt = try value.time() ?? TaskRecord.never
                case cscan_member.word("outcome"):
                    ended.outcome = value.text.flatMap { EndedAttempt.Outcome(word: $0) } ?? .failed
                default: return
                }
            }
            state.attempts.append(ended)
            newest = UInt32(state.attempts.count - 1)
        }
        return newest
    }

    /// The state that was read: workers and templates get the numbers that the file gives them.
    func build() throws(JSONError) -> ManagerState {
        var state = ManagerState()
        swap(&state, &self.state)
        state.position = journal.position
        state.time = journal.time
        state.crc = journal.crc ?? 0
        try more.build(&state)
        let workers = (0..<names.count).map { number in
            names.with(number) { state.workerNames.number(of: $0) }.map { UInt32($0) } ?? TaskRecord.none
        }
        func renumbered(_ worker: UInt32) -> UInt32 { worker == TaskRecord.none ? worker : workers[Int(worker)] }
        for number in 0..<state.attempts.count {
            state.attempts[number].worker = renumbered(state.attempts[number].worker)
        }
        var run = 0
        for number in 0..<state.tasks.count {
            while run + 1 < more.templateRuns.count, more.templateRuns[run + 1].first <= number { run += 1 }
            guard run < more.templateRuns.count, Int(more.templateRuns[run].second) < state.templates.count else {
                throw JSONError("task \(state.ids.text(number)) has no template", offset: 0)
            }
            let template = more.templateRuns[run].second
            state.tasks[number].template = template
            state.tasks[number].worker = renumbered(state.tasks[number].worker)
            state.tasks[number].completedBy = renumbered(state.tasks[number].completedBy)
            let status = state.tasks[number].status
            var ended = state.tasks[number].endedAttempts
            while ended != TaskRecord.none {
                let attempt = state.attempts[Int(ended)]
                if attempt.worker != TaskRecord.none {
                    state.workers[Int(attempt.worker)].note(
                        attempt, of: state.tasks[number], phase: state.phase(of: number))
                }
                ended = attempt.previous
            }
            state.phaseCounts[Int(state.templates[Int(template)].phase)][status] += 1
            state.counts[status] += 1
        }
        for (task, interval) in more.heartbeats {
            guard task >= 0, task < state.tasks.count else { throw JSONError("no task \(task)", offset: 0) }
            state.tasks[task].heartbeat = state.word(interval)
        }
        return state
    }
}
