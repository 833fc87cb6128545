/// Why a program is stopped before its own end.
enum StopReason: Sendable, Equatable {
    /// The manager has cancelled or superseded the attempt.
    case superseded
    /// The worker shuts down; the task is given back.
    case drained
    /// The attempt's time is over.
    case timedOut
}

/// Decides which signal a program's group gets when. Pure: time comes in as the duration since the start.
///
/// A program that is to stop gets SIGTERM, and SIGKILL `grace` later unless its whole group is gone by then. When a
/// program ends by itself, what is left of its group gets SIGTERM and, `leftoverGrace` later, SIGKILL: the slot is
/// free only when nothing of the attempt runs any more. Processes that even SIGKILL does not end within
/// `uninterruptibleWait` (they wait for a device) are left to the kernel.
struct EndingPlan: Sendable {
    /// A signal for the whole group.
    enum GroupSignal: Sendable, Equatable {
        /// SIGTERM.
        case terminate
        /// SIGKILL.
        case kill
    }

    private enum Stage: Sendable, Equatable {
        case running
        case terminating(killAt: Duration)
        case killed(giveUpAt: Duration)
        case over
    }

    /// From SIGTERM to SIGKILL for a program that is stopped.
    let grace: Duration
    /// From SIGTERM to SIGKILL for what a program left running.
    var leftoverGrace: Duration = .seconds(2)
    /// From SIGKILL to looking away, once the program itself has ended.
    var uninterruptibleWait: Duration = .seconds(5)
    /// When the attempt's time is over; nil for never.
    let timeout: Duration?

    /// Why the program was stopped; nil where it ended by itself.
    private(set) var stopReason: StopReason?
    private var stage = Stage.running

    /// Makes the plan for a program that starts now.
    init(timeout: Duration?, grace: Duration) {
        self.timeout = timeout
        self.grace = grace
    }

    /// True when nothing remains to be done.
    var isOver: Bool { stage == .over }

    /// When `step` is next to be called at the latest; nil: only when something happens.
    var nextDeadline: Duration? {
        switch stage {
        case .running: timeout
        case .terminating(let killAt): killAt
        case .killed(let giveUpAt): giveUpAt
        case .over: nil
        }
    }

    /// Goes on to `now` and says which signal is to be sent.
    ///
    /// - Parameters:
    ///   - programEnded: the program itself has ended (it is a zombie still).
    ///   - groupIsEmpty: nothing of its group runs; asked only when the program has ended.
    ///   - stop: the reason for which somebody wants it stopped, if any.
    mutating func step(
        now: Duration, programEnded: Bool, groupIsEmpty: () -> Bool, stop: StopReason?
    ) -> GroupSignal? {
        guard stage != .over else { return nil }
        if programEnded && groupIsEmpty() {
            stage = .over
            return nil
        }
        switch stage {
        case .running:
            if programEnded {
                stage = .terminating(killAt: now + leftoverGrace)
                return .terminate
            }
            guard let reason = stop ?? timeoutReason(now) else { return nil }
            stopReason = reason
            stage = .terminating(killAt: now + grace)
            return .terminate
        case .terminating(let killAt) where now >= killAt:
            stage = .killed(giveUpAt: now + uninterruptibleWait)
            return .kill
        case .killed(let giveUpAt) where now >= giveUpAt && programEnded:
            stage = .over
            return nil
        default: return nil
        }
    }

    private func timeoutReason(_ now: Duration) -> StopReason? {
        guard let timeout, now >= timeout else { return nil }
        return .timedOut
    }
}
