import EventLog
import Projections

/// The results that a listing lacks because the events of their completions were discarded: so many are told, never
/// silently fewer.
struct DiscardedResults {
    private let history: DiscardedHistory
    /// Tasks that have a result and no row yet.
    private var missing: Set<String>

    /// Knows the tasks with results of a state; nil where no history was discarded.
    init?(_ data: DataDirectory, _ state: ManagerState, phase: String?) throws(JournalError) {
        guard try data.journal.historyBegins() > LogPosition(1) else { return nil }
        history = try DiscardNote.told(data)
        var filter = TaskFilter()
        filter.statuses = [.complete]
        filter.phase = phase
        missing = Set(state.tasks(matching: filter).numbers.filter { state.hasResult($0) }.map { state.taskID($0) })
    }

    /// Takes note of a row.
    mutating func note(_ task: String) { missing.remove(task) }

    /// What is said of them when all rows were noted.
    var sentence: String {
        let count = missing.count
        let which = count == 1 ? "1 task has its result" : "\(count) tasks have their results"
        return "\(history.what): \(which) from before and \(count == 1 ? "is" : "are") not listed. \(Self.whereabouts)"
    }

    /// What is said of them where rows are not counted.
    static func words(_ history: DiscardedHistory) -> String {
        "\(history.what): results of before are not listed. \(whereabouts)"
    }

    private static let whereabouts =
        "The result files (final_results.csv in the data directory and in output directories) have their rows; an archive, "
        + "if history was moved to one, has the events"
}
