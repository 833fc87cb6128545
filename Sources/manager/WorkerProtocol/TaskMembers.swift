/// The members of a task object in a request, and what becomes of others.
///
/// What is told of a task (`status`, `attempt` …) may come back and is passed over, so that `tasks --json` of one manager
/// can be given to another. A name that nothing of ours resembles may mean something to its sender and is passed over too;
/// one that is a slip of the pen is refused, as it would be lost without a word.
enum TaskMembers {
    /// What may be said of a task that is to be added.
    static let settable = [
        "task_id", "phase", "config", "seed", "output_dirs", "output_dir", "priority", "max_retries", "timeout_s",
        "after",
        "command", "key", "env", "cwd",
    ]
    /// What is only told of tasks that stand.
    static let told: Set = [
        "status", "assigned_to", "assigned_at", "retry_count", "last_error", "attempt", "added_at", "finished_at",
        "reason",
        "attempts", "has_result", "completed_by", "counter",
    ]

    /// The member that was meant by a name that is none of ours; nil where none is near.
    static func meant(by name: String) -> String? {
        guard !told.contains(name), name.utf8.count <= 40 else { return nil }
        let written = Array(name.lowercased().utf8)
        return settable.map { ($0, distance(written, Array($0.utf8))) }
            .filter { $1 <= ($0.utf8.count > 5 ? 2 : 1) }.min { $0.1 < $1.1 }?.0
    }

    /// How many letters must be changed, left out, added or swapped with their neighbour (Damerau and Levenshtein, each
    /// letter touched once).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var rows = [Array(0...right.count)]
        for (i, letter) in left.enumerated() {
            var row = [i + 1]
            for (j, other) in right.enumerated() {
                var best = min(rows[i][j + 1] + 1, row[j] + 1, rows[i][j] + (letter == other ? 0 : 1))
                if i > 0, j > 0, letter == right[j - 1], left[i - 1] == other {
                    best = min(best, rows[i - 1][j - 1] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }
}
