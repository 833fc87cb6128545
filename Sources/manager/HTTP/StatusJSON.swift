import EventLog
import Projections

/// The JSON of `status`, the same from the verb and over HTTP.
enum StatusJSON {
    /// `{"total",…,"progress","seq","time","rate_per_s","eta_s","phases":{…}}`; `disk` and `damage` (a sentence): of now
    /// alone, and `damage` of a running manager.
    static func bytes(
        _ status: StatusSummary, now: LogTime, workerAddress: String? = nil, disk: DiskUse? = nil, damage: String? = nil
    ) -> [UInt8] {
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
        if let damage {
            out.append(contentsOf: ",\"damage\":".utf8)
            appendJSONString(damage, to: &out)
        }
        if let disk { out += Array(",\"disk\":".utf8) + disk.json }
        out.append(125)
        return out
    }

    private static func appendCounts(_ counts: StatusCounts, _ out: inout [UInt8]) {
        out.append(contentsOf: "\"total\":\(counts.total)".utf8)
        for status in TaskStatus.allCases { out.append(contentsOf: ",\"\(status.word)\":\(counts[status])".utf8) }
    }
}
