/// Durations as people write them: `500ms`, `50s`, `10m`, `2h`, `7d`, or a bare number of seconds.
enum DurationText {
    private static let units: [(suffix: String, seconds: Double)] = [
        ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400),
    ]

    /// A hundred years: clocks are reckoned with in 64 bits of nanoseconds.
    private static let mostSeconds = 3.2e9

    /// The duration in seconds, not negative and at most a hundred years; nil when the text is none.
    static func seconds(_ text: String) -> Double? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let suffix = text.dropFirst(digits.count)
        guard digits.first != ".", digits.last != ".", let count = Double(digits),
            let unit = suffix.isEmpty ? 1 : units.first(where: { $0.suffix == suffix })?.seconds
        else { return nil }
        return count * unit <= mostSeconds ? count * unit : nil
    }
}
