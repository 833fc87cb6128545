import EventLog
import Projections

/// The JSON of `workers`, the same from the verb and over HTTP.
enum WorkersJSON {
    /// `[{"worker","state","task","attempt","last_seen",…}]`.
    /// `live`: what a running manager knows beside the events; nothing for a verb on a directory. `phase`: only workers that
    /// ran tasks of this phase, and of their phases this one.
    static func bytes(_ state: ManagerState, live: LiveWorkers = LiveWorkers(), phase: String? = nil) -> [UInt8] {
        var out: [UInt8] = [91]
        for var worker in state.workerSummaries {
            if let phase {
                worker.phases.removeAll { $0.name != phase }
                if worker.phases.isEmpty { continue }
            }
            if out.count > 1 { out.append(44) }
            append(worker, live, &out)
        }
        out.append(93)
        return out
    }

    private static func append(_ worker: ManagerState.WorkerSummary, _ live: LiveWorkers, _ out: inout [UInt8]) {
        let seen = max(worker.lastEvent, live.heartbeats[worker.name] ?? worker.lastEvent)
        out.append(contentsOf: "{\"worker\":".utf8)
        appendJSONString(worker.name, to: &out)
        out.append(contentsOf: ",\"state\":\"\(worker.holding.isEmpty ? "idle" : "busy")\",\"task\":".utf8)
        if let held = worker.holding.last {
            appendJSONString(held.task, to: &out)
            out.append(contentsOf: ",\"attempt\":\(held.attempt)".utf8)
        } else {
            out.append(contentsOf: "null,\"attempt\":null".utf8)
        }
        let all = worker.all
        out.append(
            contentsOf: ",\"last_seen\":\"\(seen)\",\"completed\":\(all.completed),\"failed\":\(all.failed)".utf8)
        appendTimes(all, &out)
        if let held = worker.holding.last,
            let progress = live.progress[AttemptReference(task: held.task, attempt: held.attempt)]
        {
            out.append(contentsOf: ",\"progress\":".utf8)
            appendJSONNumber(progress, to: &out)
        }
        out.append(contentsOf: ",\"failures_in_row\":\(worker.failuresInRow)".utf8)
        let marks = worker.marks(quarantined: live.quarantined)
        if !marks.isEmpty {
            out.append(contentsOf: ",\"marks\":".utf8)
            appendJSONStrings(marks, to: &out)
        }
        out.append(contentsOf: ",\"lost\":\(all.lost)".utf8)
        appendNumber("busy_share", all.busyShare, &out)
        out.append(contentsOf: ",\"phases\":{".utf8)
        for (index, phase) in worker.phases.enumerated() {
            if index > 0 { out.append(44) }
            appendJSONString(phase.name, to: &out)
            let figures = phase.figures
            out.append(
                contentsOf: ":{\"completed\":\(figures.completed),\"failed\":\(figures.failed),\"lost\":\(figures.lost)"
                    .utf8)
            appendTimes(figures, &out)
            appendNumber("busy_share", figures.busyShare, &out)
            out.append(125)
        }
        out.append(contentsOf: "}}".utf8)
    }

    private static func appendTimes(_ figures: ManagerState.RunFigures, _ out: inout [UInt8]) {
        appendNumber("busy_s", figures.busySeconds, &out)
        appendNumber("mean_s", figures.meanSeconds, &out)
        appendNumber("p50_s", figures.p50Seconds, &out)
        appendNumber("p95_s", figures.p95Seconds, &out)
    }

    private static func appendNumber(_ name: String, _ value: Double?, _ out: inout [UInt8]) {
        out.append(contentsOf: ",\"\(name)\":".utf8)
        if let value {
            appendJSONNumber((value * 1e6).rounded() / 1e6, to: &out)
        } else {
            out.append(contentsOf: "null".utf8)
        }
    }
}
