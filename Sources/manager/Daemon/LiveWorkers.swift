import EventLog
import Projections
import Synchronization

/// What a running manager knows of its workers beside the events: it lives in memory, and is gone with the process.
struct LiveWorkers: Sendable, Equatable {
    /// When each was last heard of by a heartbeat.
    var heartbeats: [String: LogTime] = [:]
    /// How far running attempts say they are, from 0 to 1.
    var progress: [AttemptReference: Double] = [:]
    /// Those that get no more work, for they have failed too often in a row.
    var quarantined: Set<String> = []
}

extension CommandProcessor {
    /// What is known of the workers beside the events, now.
    var live: LiveWorkers {
        core.withLock { core in
            let quarantined = core.state.workers(failedInRow: quarantineAfter)
            return LiveWorkers(heartbeats: core.heartbeats, progress: core.progress, quarantined: quarantined)
        }
    }
}

extension ManagerState.WorkerSummary {
    /// So many failures in a row are worth a mark.
    static let failingFrom: Int64 = 3

    /// What is to be seen at a glance: `quarantined`, `failing`, `slow`.
    func marks(quarantined: Set<String> = []) -> [String] {
        var marks: [String] = []
        if quarantined.contains(name) {
            marks.append("quarantined")
        } else if failuresInRow >= Self.failingFrom {
            marks.append("failing")
        }
        if isSlow { marks.append("slow") }
        return marks
    }
}
