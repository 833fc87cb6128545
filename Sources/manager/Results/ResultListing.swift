import EventLog
import Projections

/// The rows of completions with results, read from the journal: what the result files hold, whatever became of those.
struct ResultListing: Sendable {
    let journal: JournalDirectory
    /// Nil: every phase.
    var phase: String?

    /// One completion's row, and when and by whom.
    struct Entry: Sendable {
        let row: ResultRow
        let position: LogPosition
        let time: LogTime
        let worker: String?

        /// `{"task_id","attempt","phase","seed","config","result","worker","time","seq"}`.
        func appendJSON(to out: inout [UInt8]) {
            out.append(contentsOf: "{\"task_id\":".utf8)
            appendJSONString(row.task, to: &out)
            out.append(contentsOf: ",\"attempt\":\(row.attempt),\"phase\":".utf8)
            appendJSONString(row.phase, to: &out)
            out.append(contentsOf: ",\"seed\":".utf8)
            out.append(contentsOf: row.seed)
            out.append(contentsOf: ",\"config\":".utf8)
            out.append(contentsOf: row.config)
            out.append(contentsOf: ",\"result\":".utf8)
            out.append(contentsOf: row.result)
            out.append(contentsOf: ",\"worker\":".utf8)
            if let worker { appendJSONString(worker, to: &out) } else { out.append(contentsOf: "null".utf8) }
            out.append(contentsOf: ",\"time\":\"\(time)\",\"seq\":\(position)}".utf8)
        }
    }

    /// Calls `body` with every row up to a moment, in the journal's order. `state` knows the tasks. Throws what `body`
    /// throws.
    func forEach(upTo moment: Moment, _ state: ManagerState, _ body: (Entry) throws -> Void) throws {
        var failure: (any Error)?
        try LogReader(journal, prefetching: true).forEach { line throws(JournalError) in
            guard moment.reaches(line) else { return false }
            do {
                if let entry = try entry(line, state) { try body(entry) }
            } catch let error as EventError {
                throw Replay.unfoldable(line, error)
            } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw failure }
    }

    private func entry(_ line: LogLine, _ state: ManagerState) throws(EventError) -> Entry? {
        let event = try EventView(line)
        guard event.kind == .completed || event.kind == .result, let result = event.result else { return nil }
        let task = String(decoding: event.task, as: UTF8.self)
        guard let context = state.resultContext(of: task), phase == nil || context.phase == phase else { return nil }
        let row = ResultRow(
            task: task, attempt: Int(event.attempt), phase: context.phase, seed: context.seed, config: context.config,
            result: Array(result), outputDirectories: context.directories)
        return Entry(
            row: row, position: line.position, time: line.time,
            worker: event.worker.map { String(decoding: $0, as: UTF8.self) })
    }
}
