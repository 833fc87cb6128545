import EventLog
import Projections
import Synchronization

/// The running attempts that say how far they are, a line each, for `status --watch`.
enum RunningLines {
    private static let most = 16
    private static let barWidth = 20

    /// Nothing where no attempt says anything.
    static func text(_ state: ManagerState, _ live: LiveWorkers, width: Int) -> String {
        let running = state.workerSummaries.compactMap { worker -> (worker: String, task: String, share: Double)? in
            guard let held = worker.holding.last,
                let share = live.progress[AttemptReference(task: held.task, attempt: held.attempt)]
            else { return nil }
            return (worker.name, held.task, share)
        }
        let lines = running.prefix(most).map { entry in
            let full = Int((entry.share * Double(barWidth)).rounded(.down))
            let bar = String(repeating: "█", count: full) + String(repeating: "░", count: barWidth - full)
            let percent = String(Int((entry.share * 100).rounded(.down)))
            let padded = String(repeating: " ", count: 3 - percent.count) + percent
            return String("\(bar) \(padded)%  \(entry.worker)  \(entry.task)".prefix(max(barWidth, width - 1))) + "\n"
        }
        let rest = running.count > most ? "… and \(running.count - most) more\n" : ""
        return lines.joined() + rest
    }
}

/// What the running manager says of its workers, asked for in the background, at most once in two seconds.
final class LivePoll: Sendable {
    private struct State {
        var newest = LiveWorkers()
        var askedAt: ContinuousClock.Instant?
    }

    private let state = Mutex(State())

    /// Nothing yet.
    init() {}

    /// The newest answer; nothing known before the first one.
    var newest: LiveWorkers { state.withLock { $0.newest } }

    /// Asks, where the last question is two seconds old; does not wait for the answer.
    func refresh(_ data: DataDirectory) {
        let isDue = state.withLock { state in
            if let asked = state.askedAt, ContinuousClock.now - asked < .seconds(2) { return false }
            state.askedAt = .now
            return true
        }
        guard isDue else { return }
        Task {
            let live = await LiveProgress.read(data)
            state.withLock { $0.newest = live }
        }
    }
}
