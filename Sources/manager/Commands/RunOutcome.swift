import EventLog
import Projections

/// The facts of a run's summary, from the states before and after it and the journal's results.
enum RunOutcome {
    static func summary(
        data: DataDirectory, before: ManagerState, after: ManagerState, wallSeconds: Double
    ) throws -> RunSummary {
        let ended = RunCounts(after).done - RunCounts(before).done
        var summary = RunSummary(
            counts: RunCounts(after), retries: max(0, after.attemptTotal - before.attemptTotal - ended),
            ended: max(0, ended), wallSeconds: wallSeconds, workers: rows(before, after))
        summary.failures = after.unfinished.map { RunSummary.Failure(task: $0.task, error: $0.why) }
        summary.means = ResultMeans(rows: try results(data, after))
        let prefix = data.path == "." ? "" : data.path + "/"
        if try data.fileSystem.metadata(data.path + "/final_results.csv") != nil {
            summary.files.append((prefix + "final_results.csv", "one row a completion"))
        }
        summary.files += [
            (prefix + "manager_state.json", "every task as it stands"),
            (prefix + "journal/", "every event, in order"),
        ]
        if let directory = after.outputDirectories.first {
            summary.files.append((prefix + directory + "/logs/", "what the programs printed"))
        }
        summary.exampleTask = after.taskCount > 0 ? after.point(0).id : nil
        if data.path != "." { summary.dataDirectoryOption = "--data-dir \(data.path)" }
        return summary
    }

    private static func rows(_ before: ManagerState, _ after: ManagerState) -> [RunSummary.WorkerRow] {
        let old = Dictionary(before.workerSummaries.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        return after.workerSummaries.compactMap { worker in
            let (now, earlier) = (worker.all, old[worker.name]?.all ?? ManagerState.RunFigures())
            let completed = Int(now.completed - earlier.completed)
            let failed = Int(now.failed - earlier.failed)
            guard completed + failed > 0 else { return nil }
            return RunSummary.WorkerRow(
                name: worker.name, completed: completed, failed: failed,
                busySeconds: now.busySeconds - earlier.busySeconds, runSeconds: now.runSeconds - earlier.runSeconds)
        }
    }

    /// Config and result of every completed task, from the journal.
    private static func results(_ data: DataDirectory, _ state: ManagerState) throws -> [ResultMeans.Row] {
        var results: [String: [UInt8]] = [:]
        try LogReader(data.journal, prefetching: true).forEach { line throws(JournalError) in
            do throws(EventError) {
                let event = try EventView(line)
                if let result = event.result { results[String(decoding: event.task, as: UTF8.self)] = Array(result) }
            } catch { return true }
            return true
        }
        return results.compactMap { task, result in
            state.resultContext(of: task).map { ResultMeans.Row(config: $0.config, result: result) }
        }
    }
}

extension RunCounts {
    /// The counts of a state.
    init(_ state: ManagerState) {
        self.init(
            total: state.counts.total, complete: state.counts[.complete], failed: state.counts[.failed],
            setAside: state.counts[.cancelled] + state.counts[.held], running: state.counts[.assigned])
    }
}
