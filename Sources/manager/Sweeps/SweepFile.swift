import Yams

/// A sweep file: phases of points, in file order (section "Sweep files" of the contract).
///
/// The points themselves are made when they are asked for, so a file of a few lines that stands for millions of them
/// costs nothing until then. All that can be wrong with any of them is found by `init`.
struct SweepFile: Sendable {
    /// The largest sweep file.
    static let maximumBytes = 8 << 20
    /// The greatest number of points of one file.
    static let maximumPoints = 10_000_000

    /// The file's name as given, for messages.
    let name: String
    /// The phases, in file order; at least one.
    let phases: [SweepPhase]
    /// What loads, but maybe not as meant; at most `SweepContext.maximumWarnings`.
    let warnings: [SweepWarning]
    /// How many more warnings there were.
    let warningsLeftOut: Int

    /// The number of points in all phases.
    var pointCount: Int { phases.reduce(0) { $0 + $1.points.count } }

    /// Reads a file's text. Throws the first error, with its line.
    init(yaml: [UInt8], name: String) throws(SweepError) {
        var context = SweepContext(file: name, sizeBytes: yaml.count)
        guard yaml.count <= Self.maximumBytes else {
            throw context.refusal(.fileTooLarge, nil, nil, "larger than \(Self.maximumBytes >> 20) MiB; split it")
        }
        guard let root = try SweepText.compose(yaml, file: name) else { throw Self.noPhase(context) }
        let entries = try context.entries(of: root, "the file", line: 1)
        var defaults: [SweepEntry] = []
        for entry in entries where entry.key == "defaults" {
            defaults = try SweepPhaseReader.optionalEntries(entry, "defaults", &context)
        }
        let shared = try SweepPhaseReader.members(defaults, "defaults", &context)

        var phases: [SweepPhase] = []
        var pointCount = 0
        for entry in entries where entry.key != "defaults" {
            guard case .mapping = entry.value else { continue }
            let fields = try context.entries(of: entry.value, entry.key, line: entry.line)
            guard fields.contains(where: { $0.key == "combinations" }) else {
                context.warn(entry.line, "'\(entry.key)' has no combinations, so it is no phase")
                continue
            }
            let reader = try SweepPhaseReader(name: entry.key, line: entry.line, shared: shared, context: context)
            let phase = try reader.phase(from: fields, context: &context)
            pointCount += phase.points.count
            guard pointCount <= Self.maximumPoints else {
                throw context.refusal(
                    .tooLarge, entry.line, entry.key,
                    "with this phase the file has over \(Self.maximumPoints) points; split it or list fewer values")
            }
            phases.append(phase)
        }
        guard !phases.isEmpty else { throw Self.noPhase(context) }
        self.name = name
        self.phases = phases
        self.warnings = context.warnings
        self.warningsLeftOut = context.warningsLeftOut
    }

    private static func noPhase(_ context: SweepContext) -> SweepError {
        context.refusal(
            .noPhase, nil, nil,
            "no phase in it; a phase is a top-level mapping with 'combinations', a list of keys with lists")
    }
}
