import Yams

/// The `combinations` of a phase: the keys that vary, with their values.
struct SweepCombinations {
    /// The keys that make points, in order; the values of each differ.
    private(set) var dimensions: [SweepPoints.Dimension] = []
    /// The values of `output_dir`, which make no points; nil when the combinations have none.
    private(set) var outputDirectories: [SweepValue]?

    /// The keys, each once, without `output_dir`.
    var keys: [String] { dimensions.map(\.key) }

    /// No combinations.
    init() {}

    /// Reads the list under `combinations`. A value that stands twice is dropped with a warning, as is the earlier of
    /// two lists of one key: both would only repeat points.
    init(_ entry: SweepEntry, _ field: String, _ context: inout SweepContext) throws(SweepError) {
        guard case .sequence(let items) = entry.value else {
            throw context.refusal(
                .wrongType, entry.value.mark?.line ?? entry.line, field,
                "this must be a list, one '- key: [values]' a line")
        }
        guard !items.isEmpty else {
            throw context.refusal(
                .emptyList, entry.line, field, "this list is empty; add a key, as in '- seed: [42]'")
        }
        for item in items {
            let itemLine = item.mark?.line ?? entry.line
            guard case .mapping = item else {
                throw context.refusal(
                    .wrongType, itemLine, field, "a combination must be a mapping, as in '- seed: [42, 101]'")
            }
            let members = try context.entries(of: item, field, line: itemLine)
            guard !members.isEmpty else {
                throw context.refusal(
                    .emptyList, itemLine, field, "a combination without keys; add one, as in '- seed: [42]'")
            }
            for member in members { try add(member, "\(field).\(member.key)", &context) }
        }
    }

    private mutating func add(
        _ member: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) {
        guard case .sequence(let list) = member.value else {
            throw context.refusal(
                .wrongType, member.value.mark?.line ?? member.line, field,
                "this must be a list, as in [42] or [42, 101]")
        }
        guard !list.isEmpty else {
            throw context.refusal(
                .emptyList, member.line, field, "this list is empty; write at least one value into it")
        }
        guard !member.key.isEmpty else {
            throw context.refusal(.badValue, member.line, field, "the key is empty; give it a name")
        }
        var values: [SweepValue] = []
        var seen: Set<[UInt8]> = []
        for node in list {
            let value = try context.value(of: node, field, line: member.line)
            if seen.insert(PointKey.canonicalValue(value.json)).inserted {
                values.append(value)
            } else {
                context.warn(value.line, "\(field): \(value.text) stands in the list more than once; it counts once")
            }
        }
        if member.key == "output_dir" {
            outputDirectories = values
            return
        }
        if let earlier = dimensions.firstIndex(where: { $0.key == member.key }) {
            context.warn(member.line, "\(field): a second list of this key; the first one is not used")
            dimensions.remove(at: earlier)
        }
        dimensions.append(SweepPoints.Dimension(key: member.key, values: values))
    }
}

/// The config of a phase's points: members in order, a later value replacing an earlier one in its place.
struct SweepConfig {
    private var order: [String] = []
    private var sources: [String: SweepPoints.Source<SweepValue>] = [:]

    /// No members.
    init() {}

    /// Gives a key its value; a key that stands keeps its place.
    mutating func set(_ key: String, _ source: SweepPoints.Source<SweepValue>) {
        if sources.updateValue(source, forKey: key) == nil { order.append(key) }
    }

    /// Where the value of a key comes from; nil when the config has no such key.
    func source(of key: String) -> SweepPoints.Source<SweepValue>? { sources[key] }

    /// The names of the members.
    var keys: Set<String> { Set(order) }

    /// The members as the points need them.
    var members: [SweepPoints.Member] {
        order.compactMap { key in
            guard let source = sources[key] else { return nil }
            var keyJSON: [UInt8] = []
            JSONStringText.append(key.utf8, to: &keyJSON)
            keyJSON.append(UInt8(ascii: ":"))
            switch source {
            case .fixed(let value): return SweepPoints.Member(keyJSON: keyJSON, value: .fixed(value.json))
            case .dimension(let index): return SweepPoints.Member(keyJSON: keyJSON, value: .dimension(index))
            }
        }
    }

    /// The sentence about a `{key}` that the config does not have.
    func unknownKey(_ key: String) -> String {
        let known = order.prefix(20).joined(separator: ", ") + (order.count > 20 ? " …" : "")
        return "{\(key)} names no key of the config; it has \(known)"
    }
}
