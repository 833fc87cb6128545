import EventLog

/// The Prometheus text format, version 0.0.4: families with HELP and TYPE, then their samples.
struct MetricsText {
    /// What kind of number a family holds.
    enum Kind: String { case counter, gauge, histogram }

    private(set) var text = ""

    /// A family of one number without labels.
    mutating func one(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        family(name, kind, help)
        sample(name, [], value)
    }

    /// Begins a family.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// One sample of the family that was begun.
    mutating func sample(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0)=\"\(Self.escaped($1))\"" }.joined(separator: ",") + "}"
        }
        text += " \(Self.number(value))\n"
    }

    /// A whole histogram.
    mutating func histogram(_ name: String, _ help: String, _ values: Distribution) {
        family(name, .histogram, help)
        var total: UInt64 = 0
        for (bound, count) in zip(values.bounds, values.counts) {
            total += count
            sample(name + "_bucket", [("le", Self.number(bound))], Double(total))
        }
        total += values.counts.last ?? 0
        sample(name + "_bucket", [("le", "+Inf")], Double(total))
        sample(name + "_sum", [], values.sum)
        sample(name + "_count", [], Double(total))
    }

    private static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? "\(Int64(value))" : "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}
