import EventLog

/// The events of one task as steps from state to state, with how long each state lasted. Pure.
public struct TaskStory: Sendable {
    /// One event.
    public struct Step: Sendable {
        /// Where it stands in the journal.
        public var position: LogPosition
        /// When it happened.
        public var time: LogTime
        /// The event's type; `baseline`: no event, but what the state says of the task where history begins.
        public var type: String
        /// Where the task stands after it.
        public var status: TaskStatus
        /// True where the event put it there; false for events that leave it where it is (`extended`, `prioritised`, `result`).
        public var isMove: Bool
        /// The attempt that it speaks of: its own, or the one that ran; 0 where there is none.
        public var attempt: UInt32
        /// The worker that it speaks of, likewise.
        public var worker: String?
        /// Who asked.
        public var actor: String?
        /// The reason's word.
        public var reason: String?
        /// The error's text.
        public var error: String?
        /// The result, a JSON object.
        public var result: String?
        /// The phase, of `added`.
        public var phase: String?
        /// How a completion came: `worker`, `csv`, `operator`.
        public var via: String?
        /// Of a stale attempt, where the journal tells.
        public var silence: Event.Silence?
        /// The priority, of `prioritised`.
        public var priority: Int64
        /// When the state began, where that was before the event (`since` of an imported assignment).
        public var since: LogTime?
        /// How long the state lasted, in seconds, until the next one or until the moment that is looked at; nil where the
        /// event is no move, and for the last state where it is final.
        public var seconds: Double?
        /// True where the state began some time before: earlier events were discarded.
        public var beganEarlier = false
        /// True where the state goes on at the moment that is looked at.
        public var goesOn = false
        /// True for an assignment that had ended before its task was imported: how long it lasted is not known.
        public var endedBeforeImport = false
    }

    /// Where the time went, in seconds.
    public struct Totals: Sendable, Equatable {
        /// Pending.
        public var waiting = 0.0
        /// Held.
        public var held = 0.0
        /// Assigned.
        public var running = 0.0
        /// Of that, attempts that failed or were lost.
        public var wasted = 0.0
        /// How many those are.
        public var wastedAttempts = 0
        /// Attempts in all.
        public var attempts = 0
        /// Of these, how many had ended before the task was imported: how long they ran is not known, and in no sum.
        public var untimedAttempts = 0
    }

    /// The events, oldest first.
    public private(set) var steps: [Step] = []
    /// Where the time went.
    public private(set) var totals = Totals()

    /// What is known from before the first event, where earlier ones were discarded.
    public let beginning: TaskBeginning?

    /// Reads lines of one task, oldest first. `beginning`: what is known from before them. `now`: what time it is at the
    /// moment that is looked at.
    public init(_ lines: [[UInt8]], from beginning: TaskBeginning? = nil, now: LogTime) throws(EventError) {
        self.beginning = beginning
        var state = ManagerState()
        if let beginning {
            state = beginning.state
            steps.append(Step(beginning))
        }
        var failure: EventError?
        for bytes in lines {
            bytes.withUnsafeBufferPointer { buffer in
                guard failure == nil, let line = LogLine(buffer), line.position > state.position else { return }
                do throws(EventError) { try take(line, &state) } catch { failure = error }
            }
        }
        if let failure { throw failure }
        settle(now)
    }

    private mutating func take(_ line: LogLine, _ state: inout ManagerState) throws(EventError) {
        let event = try EventView(line)
        func text(_ bytes: EventView.Bytes?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
        let id = text(event.task) ?? ""
        let before = state.taskNumber(id).map { state.taskLine($0) }
        state.apply(event, at: line.position, time: line.time, crc: line.crc)
        guard let number = state.taskNumber(id) else { return }
        let after = state.taskLine(number)
        let extra = StoryMembers(line.body)
        let isMove =
            switch event.kind {
            case .extended, .prioritised, .result, .note, .started, .csvRead: false
            case .added: before == nil
            default: true
            }
        var step = Step(
            position: line.position, time: line.time, type: text(event.type) ?? "", status: after.status,
            isMove: isMove, attempt: event.attempt, worker: text(event.worker), actor: text(event.actor),
            reason: text(event.reason), error: event.hasError ? text(event.error) : nil, result: text(event.result),
            phase: event.kind == .added ? text(event.phase) : nil, via: extra.via, silence: extra.silence,
            priority: event.priority, since: event.since)
        // `requeued`, `cancelled` and `held` end what ran without naming it.
        if step.attempt == 0, before?.status == .assigned || event.kind == .requeued, let before {
            step.attempt = before.attempt
            step.worker = step.worker ?? before.worker
        }
        steps.append(step)
    }

    /// Fills in how long each state lasted, and the totals.
    private mutating func settle(_ now: LogTime) {
        for attempt in beginning?.attempts ?? [] {
            guard attempt.end != nil else { continue }
            let seconds = attempt.seconds ?? 0
            totals.attempts += attempt.attempt > 0 ? 1 : 0
            totals.untimedAttempts += attempt.endedBeforeImport ? 1 : 0
            totals.running += seconds
            if ["failed", "stale", "worker_lost"].contains(attempt.outcome) {
                totals.wasted += seconds
                totals.wastedAttempts += 1
            }
        }
        let moves = steps.indices.filter { steps[$0].isMove }
        for (place, index) in moves.enumerated() {
            let next = place + 1 < moves.count ? steps[moves[place + 1]] : nil
            let isFinal = [.complete, .failed, .cancelled].contains(steps[index].status)
            guard next != nil || !isFinal else { continue }
            let end = next?.time ?? now
            let begin = steps[index].since ?? steps[index].time
            // An import writes an assignment of before and its end at one moment.
            let isUntimed =
                steps[index].type == "assigned" && begin != steps[index].time && next?.time == steps[index].time
            let seconds = isUntimed ? 0 : max(0, end.seconds(since: begin))
            steps[index].seconds = isUntimed ? nil : seconds
            steps[index].endedBeforeImport = isUntimed
            steps[index].goesOn = next == nil
            switch steps[index].status {
            case .pending: totals.waiting += seconds
            case .held: totals.held += seconds
            case .assigned:
                totals.running += seconds
                totals.attempts += 1
                totals.untimedAttempts += steps[index].endedBeforeImport ? 1 : 0
                let reason = next?.reason
                if next?.type == "failed" || next?.type == "requeued" && (reason == "stale" || reason == "worker_lost")
                {
                    totals.wasted += seconds
                    totals.wastedAttempts += 1
                }
            case .complete, .failed, .cancelled: continue
            }
        }
    }
}

extension TaskStory.Step {
    /// How the task stood where history begins.
    fileprivate init(_ beginning: TaskBeginning) {
        let line = beginning.line
        let hasAttempt = line.status == .assigned || line.status == .complete || line.status == .failed
        self.init(
            position: beginning.position, time: beginning.time, type: "baseline", status: line.status, isMove: true,
            attempt: hasAttempt ? line.attempt : 0, worker: hasAttempt ? beginning.attempts.last?.worker : nil,
            reason: line.reason, error: line.status == .failed ? line.lastError : nil, phase: line.phase,
            priority: Int64(line.priority), since: beginning.since, beganEarlier: beginning.since == nil)
    }
}

/// The members that the fold does not need.
private struct StoryMembers {
    var via: String?
    var silence: Event.Silence?

    init(_ body: UnsafeBufferPointer<UInt8>) {
        let object = [123] + Array(body) + [125]
        var (via, silent, limit): (String?, Double?, Double?) = (nil, nil, nil)
        var rule = Event.Silence.Rule.staleAfter
        object.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer, formOnly: true)
            do throws(JSONError) {
                try reader.object { key, reader throws(JSONError) in
                    switch key {
                    case "via": via = try reader.string()
                    case "silent_s": silent = try reader.double()
                    case "limit_s": limit = try reader.double()
                    case "limit": rule = Event.Silence.Rule(rawValue: try reader.string()) ?? rule
                    default: try reader.skip()
                    }
                }
            } catch { return }  // members of another form than ours: what was read so far is shown
        }
        self.via = via
        if let silent, let limit { silence = Event.Silence(seconds: silent, limitSeconds: limit, rule: rule) }
    }
}
