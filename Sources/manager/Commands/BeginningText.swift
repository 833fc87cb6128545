import EventLog
import Projections

/// The words for what is known of a task from before history begins.
enum BeginningText {
    /// `history before … was discarded on … (seq …). The state there says: added …, attempt 1 on w failed after 3.0 s`.
    static func sentence(_ beginning: TaskBeginning) -> String {
        "\(beginning.history.what). The state there says: " + known(beginning)
    }

    /// When it was added, and what became of its attempts up to then.
    static func known(_ beginning: TaskBeginning) -> String {
        let added = "added \(beginning.addedAt.description.prefix(19).replacing("T", with: " ")) to phase "
        return ([added + beginning.line.phase] + beginning.attempts.map(attempt)).joined(separator: ", ")
    }

    private static func attempt(_ record: AttemptRecord) -> String {
        let name = record.attempt == 0 ? "completed without an attempt" : "attempt \(record.attempt)"
        let whose = record.worker.map { " on \($0)" } ?? ""
        guard record.attempt > 0 else { return name + whose }
        let outcome =
            switch record.outcome {
            case "running": "was running"
            case "stale": "went stale"
            case "worker_lost": "was lost with its worker"
            case "returned": "was given back"
            case "operator": "was ended by an operator"
            case "cancelled": "was cancelled"
            case let other: other
            }
        let after =
            record.endedBeforeImport
            ? " before it was imported" : record.seconds.map { " after \(EventPainter.duration($0))" } ?? ""
        let error = record.error.flatMap { $0.split(separator: "\n").last }.map { " (\($0.suffix(200)))" } ?? ""
        return "\(name)\(whose) \(outcome)\(after)\(error)"
    }
}
