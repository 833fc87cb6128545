import EventLog
import Projections

/// The sentences of `why`: the state and its cause, then the states before it with theirs, newest first. Pure.
struct WhyText {
    let story: TaskStory
    /// What time it is at the moment that is looked at.
    let now: LogTime
    /// What keeps it where it is pending, behind the cause.
    var present = ""

    /// The whole text; empty without events.
    func text(_ task: String) -> String {
        let states = states
        guard let newest = states.last else { return "" }
        var text =
            "\(task) is \(newest.move.status.word) since \(began(newest.move)) because "
            + "\(cause(newest))\(present)\n"
        for state in states.dropLast().reversed() {
            let lasted =
                state.move.seconds.map {
                    " for \(EventPainter.duration($0))" + (state.move.beganEarlier ? " or more" : "")
                } ?? ""
            text += "  \(state.move.status.word) from \(began(state.move))\(lasted) because "
            text += "\(cause(state))\n"
        }
        return text
    }

    /// A state that the task was in: the event that put it there, and the one of the same command that led to that.
    private struct State {
        var move: TaskStory.Step
        var before: TaskStory.Step?
    }

    /// `failed` with its `requeued`, and `requeued` with its `held`, are one step.
    private var states: [State] {
        var states: [State] = []
        for step in story.steps where step.isMove {
            let isSecond =
                step.type == "requeued" && step.reason == "retry" || step.type == "held" && step.reason == "poison"
            if isSecond, let last = states.last, last.move.time == step.time {
                states[states.count - 1] = State(move: step, before: last.move)
            } else {
                states.append(State(move: step, before: nil))
            }
        }
        return states
    }

    /// When a state began.
    private func began(_ step: TaskStory.Step) -> String {
        (step.beganEarlier ? "before " : "") + clock(step.since ?? step.time)
    }

    private func cause(_ state: State) -> String {
        let step = state.move
        let place = "seq \(step.position)"
        switch step.type {
        case "added": return "it was added to phase \(step.phase ?? "?")\(by(step)), \(place)"
        case "assigned": return "\(step.worker ?? "nobody") claimed attempt \(step.attempt)\(by(step)), \(place)"
        case "completed":
            if step.via == "csv" { return "a row of a result file completed it, \(place)" }
            if step.via == "operator" { return "it was complete when it was imported\(by(step)), \(place)" }
            return "\(attempt(step)) completed\(ran(step)), \(place)"
        case "failed":
            return "\(attempt(step)) failed\(ran(step))\(error(step)) and no retries were left, \(place)"
        case "requeued": return "\(requeue(state)): requeued\(by(step)), \(place)"
        case "cancelled": return "it was cancelled\(by(step))\(step.reason.map { " (\($0))" } ?? ""), \(place)"
        case "held":
            if let loss = state.before {
                return
                    "\(requeue(State(move: loss, before: nil))), one loss too many in a row: held\(by(step)), \(place)"
            }
            return "it was held\(by(step))\(step.reason.map { " (\($0))" } ?? ""), \(place)"
        case "baseline":
            return "the state where history begins says so"
                + (story.beginning.map { ": \(BeginningText.known($0)); \($0.history.what)" } ?? "")
        case "released": return "it was released\(by(step)), \(place)"
        case let other: return "of \(other), \(place)"
        }
    }

    private func requeue(_ state: State) -> String {
        let step = state.move
        switch step.reason {
        case "retry":
            guard let failure = state.before else { return "\(attempt(step)) failed and retries were left" }
            return "\(attempt(failure)) failed\(ran(failure))\(error(failure)) and retries were left"
        case "stale":
            let silence = step.silence.map { " (\(Self.silence($0)))" } ?? ran(step)
            return "\(attempt(step)) went stale\(silence)"
        case "worker_lost":
            let silence = step.silence.map { " (\(Self.silence($0)))" } ?? ran(step)
            return "\(attempt(step)) was lost with its worker\(silence)"
        case "returned": return "\(attempt(step)) was given back\(ran(step))"
        case "operator": return "an operator asked for it"
        case let other: return other ?? "of no named reason"
        }
    }

    private func attempt(_ step: TaskStory.Step) -> String {
        step.attempt == 0 ? "it" : "attempt \(step.attempt)\(step.worker.map { " on \($0)" } ?? "")"
    }

    /// How long the attempt that a step ends had run.
    private func ran(_ step: TaskStory.Step) -> String {
        guard
            let start = story.steps.last(where: {
                ($0.type == "assigned" || $0.type == "baseline" && $0.status == .assigned)
                    && $0.attempt == step.attempt && $0.position < step.position
            })
        else { return "" }
        if start.endedBeforeImport { return " before it was imported" }
        return " after \(EventPainter.duration(step.time.seconds(since: start.since ?? start.time)))"
    }

    private func error(_ step: TaskStory.Step) -> String {
        let last = (step.error ?? "").split(separator: "\n").last.map(String.init) ?? ""
        return last.isEmpty ? "" : " (\(last.suffix(200)))"
    }

    private func by(_ step: TaskStory.Step) -> String {
        switch step.actor {
        case nil: ""
        case "timer": " by the timer"
        case "http": " over HTTP"
        case "tcp": " over TCP"
        case let actor?: " by \(actor)"
        }
    }

    /// `14:05` on the day that is looked at, else with the date.
    private func clock(_ time: LogTime) -> String {
        let text = time.description
        let minute = text.prefix(16).replacing("T", with: " ")
        return text.prefix(10) == now.description.prefix(10) ? String(minute.suffix(5)) : String(minute)
    }

    /// `2.0 h without a sign, limit 2 h`.
    static func silence(_ silence: Event.Silence) -> String {
        let rule =
            switch silence.rule {
            case .staleAfter: ""
            case .workerTimeout: " of --worker-timeout"
            case .phaseMedian: " of --stale-factor times the phase's median run"
            }
        return "\(EventPainter.duration(silence.seconds)) without a sign, limit \(limit(silence.limitSeconds))\(rule)"
    }

    private static func limit(_ seconds: Double) -> String {
        for (unit, name) in [(3600.0, "h"), (60.0, "min"), (1.0, "s")] {
            if seconds >= unit, (seconds / unit).rounded() == seconds / unit { return "\(Int(seconds / unit)) \(name)" }
        }
        return EventPainter.duration(seconds)
    }
}
