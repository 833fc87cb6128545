import Projections

/// The mean of a numeric result by a config key: what a sweep was run for, in one small table. Pure.
struct ResultMeans: Sendable, Equatable {
    /// A completed task with a result.
    struct Row: Sendable, Equatable {
        /// The config, a JSON object.
        var config: [UInt8]
        /// The result, a JSON object.
        var result: [UInt8]
    }

    /// One value of the config key.
    struct Group: Sendable, Equatable {
        /// The value as text.
        var value: String
        /// How many rows have it.
        var count: Int
        /// The result's mean over them.
        var mean: Double
        /// The least.
        var least: Double
        /// The greatest.
        var greatest: Double
    }

    /// The result's key.
    let metric: String
    /// The config's key.
    let key: String
    /// The values, as numbers in order where all are numbers, else by text.
    let groups: [Group]

    /// More values than these make no table.
    static let maximumGroups = 20

    /// Groups the rows; nil where no result is a number, or no config key varies.
    ///
    /// - Parameters:
    ///   - metric: the result's key; nil: the first one named after an accuracy, else a score, else a loss or error,
    ///     else the first that is a number everywhere and varies.
    ///   - key: the config's key; nil: the one (but for the seed) whose values explain most of the metric's variance.
    init?(rows: [Row], metric: String? = nil, by key: String? = nil) {
        let parsed = Self.parsed(rows)
        guard let metric = metric ?? Self.chosenMetric(parsed.map(\.result)) else { return nil }
        let points = parsed.compactMap { row in
            row.result.first { $0.0 == metric }.map { (config: row.config, value: $0.1) }
        }
        let keys = Set(points.flatMap(\.config.keys)).sorted()
        let tables = (key.map { [$0] } ?? keys.filter { $0 != "seed" }).compactMap { key in
            Self.groups(points, by: key).map { (key: key, groups: $0.groups, explained: $0.explained) }
        }
        guard let best = tables.max(by: { $0.explained < $1.explained }) else { return nil }
        self.metric = metric
        self.key = best.key
        groups = best.groups
    }

    /// The configs' single values as text, and the results' numbers.
    private static func parsed(_ rows: [Row]) -> [(config: [String: String], result: [(String, Double)])] {
        rows.compactMap { row in
            do throws(JSONError) {
                let config = try StrictJSON(object: row.config).members
                let result = try StrictJSON(object: row.result).members
                return (
                    Dictionary(
                        config.filter { $0.value.first != UInt8(ascii: "[") && $0.value.first != UInt8(ascii: "{") }
                            .map { ($0.name, StrictJSON.text(of: $0.value)) }, uniquingKeysWith: { first, _ in first }),
                    result.compactMap { member in Self.number(member.value).map { (member.name, $0) } }
                )
            } catch {
                // No object: such a row says nothing about means; the journal keeps it.
                return nil
            }
        }
    }

    /// Why rows make no table, as a sentence that names what there is.
    static func problem(with rows: [Row], metric: String?, by key: String?) -> String {
        let parsed = parsed(rows)
        let numbers = Set(parsed.flatMap { $0.result.map(\.0) }).sorted()
        let keys = Set(parsed.flatMap(\.config.keys)).sorted()
        if rows.isEmpty { return "no task has a result yet" }
        if numbers.isEmpty { return "no result has a number" }
        if let metric, !numbers.contains(metric) {
            return "no result has a number '\(metric)': there are \(numbers.joined(separator: ", "))"
        }
        guard let key else {
            return "no key of the configs has 2 to \(maximumGroups) values that could be compared: --by names another"
        }
        let values = Set(parsed.compactMap { $0.config[key] }).count
        if values == 0 { return "no config has a key '\(key)': there are \(keys.joined(separator: ", "))" }
        if values == 1 { return "the key '\(key)' has one value only: there is nothing to compare" }
        return "the key '\(key)' has \(values) values, at most \(maximumGroups) make a table: use --csv"
    }

    private static func number(_ value: [UInt8]) -> Double? {
        guard let first = value.first, first == UInt8(ascii: "-") || (0x30...0x39).contains(first) else { return nil }
        return Double(String(decoding: value, as: UTF8.self)).flatMap { $0.isFinite ? $0 : nil }
    }

    private static func chosenMetric(_ results: [[(String, Double)]]) -> String? {
        guard let first = results.first else { return nil }
        var candidates = first.map(\.0).filter { name in results.allSatisfy { $0.contains { $0.0 == name } } }
        if candidates.isEmpty { candidates = first.map(\.0) }
        let varying = candidates.filter { name in
            Set(results.compactMap { row in row.first { $0.0 == name }?.1 }).count > 1
        }
        for words in [["accuracy"], ["acc"], ["f1", "auc", "score", "reward"], ["loss", "error"]] {
            let named = candidates.filter { name in words.contains { name.lowercased().contains($0) } }
            if let best = named.first(where: { $0.lowercased().contains("test") }) ?? named.first { return best }
        }
        let clocks = ["seed", "epoch", "step", "time", "second", "duration", "attempt"]
        return varying.first { name in !clocks.contains { name.lowercased().contains($0) } } ?? varying.first
            ?? candidates.first
    }

    /// The groups by a key and the share of the variance between them; nil where the key does not vary, or varies
    /// too much for a table.
    private static func groups(
        _ points: [(config: [String: String], value: Double)], by key: String
    ) -> (groups: [Group], explained: Double)? {
        var values: [String: [Double]] = [:]
        for point in points { if let text = point.config[key] { values[text, default: []].append(point.value) } }
        guard values.count > 1, values.count <= maximumGroups else { return nil }
        let groups = values.map { text, numbers in
            Group(
                value: text, count: numbers.count, mean: numbers.reduce(0, +) / Double(numbers.count),
                least: numbers.min() ?? 0, greatest: numbers.max() ?? 0)
        }.sorted { first, second in
            if let left = Double(first.value), let right = Double(second.value), left != right { return left < right }
            return first.value < second.value
        }
        let all = values.values.joined()
        let count = values.values.reduce(0) { $0 + $1.count }
        let mean = all.reduce(0, +) / Double(count)
        let total = all.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let between = groups.reduce(0) { $0 + Double($1.count) * ($1.mean - mean) * ($1.mean - mean) }
        return (groups, total > 0 ? between / total : 0)
    }
}
