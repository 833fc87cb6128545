import EventLog
import Projections

/// The JSON of `status` and `workers`, the same from the verb and over HTTP.
enum StatusJSON {
    /// `{"total",…,"progress","seq","time","rate_per_s","eta_s","phases":{…}}`; `disk`: of now alone.
    static func bytes(_ status: StatusSummary, now: LogTime, workerAddress: String? = nil, disk: DiskUse? = nil)
        -> [UInt8]
    {
        var out: [UInt8] = [123]
        appendCounts(status.counts, &out)
        out.append(contentsOf: ",\"progress\":".utf8)
        appendJSONString(status.progress, to: &out)
        out.append(contentsOf: ",\"seq\":\(status.position),\"time\":".utf8)
        out.append(contentsOf: status.time.map { "\"\($0)\"" }?.utf8 ?? "null".utf8)
        let rate = status.completionRate(now: now)
        out.append(contentsOf: ",\"rate_per_s\":".utf8)
        appendJSONNumber((rate * 1000).rounded() / 1000, to: &out)
        out.append(contentsOf: ",\"eta_s\":".utf8)
        let left = status.counts[.pending] + status.counts[.assigned]
        if rate > 0, left > 0 {
            appendJSONNumber((Double(left) / rate).rounded(), to: &out)
        } else {
            out.append(contentsOf: left == 0 ? "0".utf8 : "null".utf8)
        }
        out.append(contentsOf: ",\"phases\":{".utf8)
        for (index, phase) in status.phases.enumerated() {
            if index > 0 { out.append(44) }
            appendJSONString(phase.name, to: &out)
            out.append(contentsOf: ":{".utf8)
            appendCounts(phase.counts, &out)
            out.append(125)
        }
        out.append(125)
        if let workerAddress {
            out.append(contentsOf: ",\"worker_address\":".utf8)
            appendJSONString(workerAddress, to: &out)
        }
        if let disk { out += Array(",\"disk\":".utf8) + disk.json }
        out.append(125)
        return out
    }

    private static func appendCounts(_ counts: StatusCounts, _ out: inout [UInt8]) {
        out.append(contentsOf: "\"total\":\(counts.total)".utf8)
        for status in TaskStatus.allCases { out.append(contentsOf: ",\"\(status.word)\":\(counts[status])".utf8) }
    }

    /// `[{"worker","state","task","attempt","last_seen",…}]`.
    /// `live`: what a running manager knows beside the events; nothing for a verb on a directory.
    static func workers(_ state: ManagerState, live: LiveWorkers = LiveWorkers()) -> [UInt8] {
        var out: [UInt8] = [91]
        for (index, worker) in state.workerSummaries.enumerated() {
            if index > 0 { out.append(44) }
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
            out.append(
                contentsOf: ",\"last_seen\":\"\(seen)\",\"completed\":\(worker.completed),\"failed\":\(worker.failed)"
                    .utf8)
            for (name, value) in [
                ("busy_s", worker.busySeconds), ("mean_s", worker.meanSeconds), ("p50_s", worker.p50Seconds),
                ("p95_s", worker.p95Seconds),
            ] as [(String, Double?)] {
                out.append(contentsOf: ",\"\(name)\":".utf8)
                if let value {
                    appendJSONNumber((value * 1e6).rounded() / 1e6, to: &out)
                } else {
                    out.append(contentsOf: "null".utf8)
                }
            }
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
            out.append(125)
        }
        out.append(93)
        return out
    }
}
