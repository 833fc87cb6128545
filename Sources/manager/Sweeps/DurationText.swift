/// Durations as people write them: `500ms`, `50s`, `10m`, `2h`, `7d`, or a bare number of seconds.
enum DurationText {
    private static let units: [(suffix: String, seconds: Double)] = [
        ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400),
    ]

    /// The longest that is taken: 100 years.
    static let mostSeconds = 36_525 * 86_400.0

    /// The duration in seconds, not negative and at most `mostSeconds`; nil when the text is none.
    static func seconds(_ text: String) -> Double? {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let suffix = text.dropFirst(digits.count)
        guard digits.first != ".", digits.last != ".", let count = Double(digits) else { return nil }
        guard let factor = suffix.isEmpty ? 1 : units.first(where: { $0.suffix == suffix })?.seconds else { return nil }
        let seconds = count * factor
        return seconds <= mostSeconds ? seconds : nil
    }
}
