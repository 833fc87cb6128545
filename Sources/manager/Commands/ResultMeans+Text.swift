extension ResultMeans {
    /// The table: a title, the columns, a line a value of the config's key, with a bar.
    var lines: [String] {
        let greatest = groups.map(\.mean.magnitude).max() ?? 0
        let decimals = greatest >= 1000 ? 1 : greatest >= 10 ? 2 : 4
        func text(_ value: Double) -> String { ProgressText.fixed(value, decimals: decimals) }
        let low = groups.map(\.mean).min() ?? 0
        let high = groups.map(\.mean).max() ?? 0
        let rows = groups.map { group -> [String] in
            let share = high > low ? (group.mean - low) / (high - low) : 1
            let bar = String(repeating: "#", count: 1 + Int((share * 19).rounded()))
            return [group.value, String(group.count), text(group.mean), text(group.least), text(group.greatest), bar]
        }
        return ["Mean \(metric) by \(key)"]
            + TextTable.lines(header: [key, "Tasks", "Mean", "Min", "Max", ""], rows: rows, leftAligned: [0, 5])
    }
}
