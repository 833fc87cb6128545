import Foundation
import Testing

/// A fold of the journal's lines by the contract's table alone, as a program in another language would write it.
struct IndependentFold {
    /// What the table says of a task.
    struct Task: Equatable {
        var status = "pending"
        var retryCount = 0
        var attempt = 0
    }

    private(set) var tasks: [String: Task] = [:]
    /// The positions that were folded.
    private(set) var last = 0
    /// Types with how many came.
    private(set) var types: [String: Int] = [:]

    /// Folds JSON lines, all or up to a seq.
    init(_ lines: some StringProtocol, upTo limit: Int = .max) throws {
        for line in lines.split(separator: "\n") {
            let event = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            guard let seq = event["seq"] as? Int, let type = event["type"] as? String else { continue }
            if seq > limit { break }
            try #require(last == 0 || seq == last + 1, "seq \(seq) after \(last)")
            last = seq
            types[type, default: 0] += 1
            apply(type, event)
        }
    }

    /// Reads a data directory's journal by the real binary's `tail`.
    init(directory: String, upTo limit: Int = .max) throws {
        let tail = try VerbRun(["tail", "--from", "1", "-n", "10000000", "--json", "--data-dir", directory])
        try self.init(tail.output, upTo: limit)
    }

    private mutating func apply(_ type: String, _ event: [String: Any]) {
        guard event["note"] as? Bool != true, let id = event["task"] as? String else { return }
        if type == "added" { tasks[id] = Task() }
        switch type {
        case "assigned":
            tasks[id]?.status = "assigned"
            tasks[id]?.attempt = event["attempt"] as? Int ?? 0
        case "completed": tasks[id]?.status = "complete"
        case "failed":
            tasks[id]?.status = "failed"
            tasks[id]?.retryCount += 1
        case "requeued":
            tasks[id]?.status = "pending"
            if event["reason"] as? String == "operator" { tasks[id]?.retryCount = 0 }
        case "cancelled": tasks[id]?.status = "cancelled"
        case "held": tasks[id]?.status = "held"
        case "released": tasks[id]?.status = "pending"
        default: return
        }
    }

    /// What a restore to this fold must give of another one: what was assigned is pending, what is new is cancelled.
    func restored(over now: IndependentFold) -> [String: Task] {
        var wanted: [String: Task] = [:]
        for (id, task) in now.tasks {
            var after = tasks[id] ?? Task(status: "cancelled")
            if after.status == "assigned" { after.status = "pending" }
            after.attempt = task.attempt
            if tasks[id] == nil { after.retryCount = task.status == "complete" ? 0 : task.retryCount }
            wanted[id] = after
        }
        return wanted
    }
}
