import Projections
import Yams

/// Reads one phase of a sweep file: checks each field and puts defaults and combinations together.
struct SweepPhaseReader {
    /// A member of the config before the combinations are known.
    typealias Member = (key: String, value: SweepValue)

    /// The greatest length of phase names and ids, in bytes.
    static let maximumNameBytes = 200
    /// The largest config, in bytes.
    static let maximumConfigBytes = 1 << 20
    /// An id is phase, counter and seed; this much is left for the counter and what joins them.
    private static let counterBytes = 12

    private let name: String
    private let line: Int
    private let shared: [Member]

    /// Takes the phase's name, its line and the members of the file's `defaults`. Throws for a bad name.
    init(name: String, line: Int, shared: [Member], context: SweepContext) throws(SweepError) {
        if let problem = Self.phaseNameProblem(name) {
            throw context.refusal(.badPhaseName, line, "phase '\(name)'", problem)
        }
        self.name = name
        self.line = line
        self.shared = shared
    }

    /// What is wrong with a phase's name; nil when nothing is.
    static func phaseNameProblem(_ name: String) -> String? {
        if name.isEmpty { return "the name is empty; give it one" }
        if name.utf8.count > maximumNameBytes { return "the name is longer than \(maximumNameBytes) bytes; shorten it" }
        if name.utf8.first == UInt8(ascii: ".") { return "the name begins with a point; take it away" }
        if name.utf8.contains(UInt8(ascii: "/")) { return "the name has a '/'; take it out" }
        if OutputDirectory.hasControlCharacter(name) { return "the name has a control character; take it out" }
        return nil
    }

    /// The members of a mapping that may be missing or null.
    static func optionalEntries(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [SweepEntry] {
        if case .scalar(let scalar) = entry.value, scalar.style == .plain,
            CoreSchema(Array(scalar.string.utf8)) == .null
        {
            return []
        }
        return try context.entries(of: entry.value, field, line: entry.line)
    }

    /// The members of a `defaults` mapping with their values.
    static func members(
        _ entries: [SweepEntry], _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [Member] {
        var members: [Member] = []
        for entry in entries {
            members.append(
                (entry.key, try context.value(of: entry.value, "\(field).\(entry.key)", line: entry.line)))
        }
        return members
    }

    /// The phase that these fields describe.
    func phase(from fields: [SweepEntry], context: inout SweepContext) throws(SweepError) -> SweepPhase {
        var own: [Member] = []
        var combinations = SweepCombinations()
        for entry in fields {
            let field = "\(name).\(entry.key)"
            if entry.key == "defaults" {
                own = try Self.members(Self.optionalEntries(entry, field, &context), field, &context)
            } else if entry.key == "combinations" {
                combinations = try SweepCombinations(entry, field, &context)
            }
        }
        var config = SweepConfig()
        for member in shared + own where member.key != "output_dir" { config.set(member.key, .fixed(member.value)) }
        for (index, dimension) in combinations.dimensions.enumerated() { config.set(dimension.key, .dimension(index)) }

        let directories = try directories(combinations, own: own, config, context)
        let seed = try seed(config, combinations, context)
        var common = TaskSpec(phase: name, config: [], outputDirectories: [])
        common.key = ["phase", "seed"] + combinations.keys.filter { $0 != "seed" && $0 != "phase" }
        try SweepTaskOptions(phase: name, config: config).read(fields, into: &common, &context)
        guard
            let points = SweepPoints(
                common: common, members: config.members, seed: seed, directories: directories,
                dimensions: combinations.dimensions)
        else {
            throw context.refusal(
                .tooLarge, line, name,
                "its combinations come to over \(SweepFile.maximumPoints) points; list fewer values")
        }
        guard points.maximumConfigBytes <= Self.maximumConfigBytes else {
            throw context.refusal(.tooLarge, line, name, "a config comes to over 1 MiB; put large values into files")
        }
        try checkDirectories(points, context)
        return SweepPhase(name: name, line: line, points: points)
    }

    private func seed(
        _ config: SweepConfig, _ combinations: SweepCombinations, _ context: SweepContext
    ) throws(SweepError) -> SweepPoints.Source<[UInt8]> {
        let candidates: [SweepValue]
        let source: SweepPoints.Source<[UInt8]>
        switch config.source(of: "seed") {
        case nil: return .fixed(TaskSpec.defaultSeed)
        case .fixed(let value):
            candidates = [value]
            source = .fixed(value.json)
        case .dimension(let index):
            candidates = combinations.dimensions[index].values
            source = .dimension(index)
        }
        for value in candidates {
            guard value.kind == .number || value.kind == .string else {
                throw context.refusal(.wrongType, value.line, "\(name).seed", "a seed is a number or text")
            }
            if value.text.utf8.contains(UInt8(ascii: "/")) || OutputDirectory.hasControlCharacter(value.text) {
                throw context.refusal(
                    .badValue, value.line, "\(name).seed",
                    "a seed is part of the task's id and has no '/' and no control characters; take them out")
            }
            guard name.utf8.count + value.text.utf8.count + Self.counterBytes <= Self.maximumNameBytes else {
                throw context.refusal(
                    .badValue, value.line, "\(name).seed",
                    "phase and seed make ids of over \(Self.maximumNameBytes) bytes; shorten them")
            }
        }
        return source
    }

    private func directories(
        _ combinations: SweepCombinations, own: [Member], _ config: SweepConfig, _ context: SweepContext
    ) throws(SweepError) -> [[SweepPoints.Source<String>]] {
        let fallback = (shared + own).last { $0.key == "output_dir" }.map { [$0.value] } ?? []
        var result: [[SweepPoints.Source<String>]] = []
        for value in combinations.outputDirectories ?? fallback where value.kind != .null {
            result.append(try pieces(of: value, config, combinations, context))
        }
        return result.isEmpty ? [[.fixed("results_" + name)]] : result
    }

    private func pieces(
        of value: SweepValue, _ config: SweepConfig, _ combinations: SweepCombinations, _ context: SweepContext
    ) throws(SweepError) -> [SweepPoints.Source<String>] {
        let field = "\(name).output_dir"
        guard value.kind != .nested else {
            throw context.refusal(.wrongType, value.line, field, "this must be a directory's name; give it as text")
        }
        let template: PlaceholderTemplate
        do throws(PlaceholderTemplate.Unclosed) { template = try PlaceholderTemplate(value.text) } catch {
            throw context.refusal(.badOutputDirectory, value.line, field, "'{\(error.rest)' is not closed; add a '}'")
        }
        var pieces: [SweepPoints.Source<String>] = []
        for part in template.parts {
            switch part {
            case .literal(let text): pieces.append(.fixed(text))
            case .placeholder(let key):
                switch config.source(of: key) {
                case .dimension(let index):
                    for value in combinations.dimensions[index].values { try checkPart(value, key, context) }
                    pieces.append(.dimension(index))
                case .fixed(let value):
                    try checkPart(value, key, context)
                    pieces.append(.fixed(value.text))
                case nil:
                    switch key {
                    case "phase": pieces.append(.fixed(name))
                    case "seed": pieces.append(.fixed(String(decoding: TaskSpec.defaultSeed, as: UTF8.self)))
                    default: throw context.refusal(.unknownPlaceholder, value.line, field, config.unknownKey(key))
                    }
                }
            }
        }
        return pieces
    }

    private func checkPart(_ value: SweepValue, _ key: String, _ context: SweepContext) throws(SweepError) {
        guard value.kind == .nested else { return }
        throw context.refusal(
            .badOutputDirectory, value.line, "\(name).output_dir",
            "the value of {\(key)} is a list or a mapping and no part of a name; use another key")
    }

    private func checkDirectories(_ points: SweepPoints, _ context: SweepContext) throws(SweepError) {
        for pieces in points.directories {
            for position in points.positions(covering: pieces) {
                let path = points.path(pieces, at: position)
                if let problem = OutputDirectory.problem(path) {
                    throw context.refusal(.badOutputDirectory, line, "\(name).output_dir", "'\(path)' \(problem)")
                }
            }
        }
    }
}
