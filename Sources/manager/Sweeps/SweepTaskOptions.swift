import Projections
import Yams

/// Reads a phase's optional keys: `command`, `priority`, `max_retries`, `timeout`, `after`, `env`, `cwd` and `key`.
struct SweepTaskOptions {
    private let phase: String
    private let config: SweepConfig

    /// Takes the phase's name and its config.
    init(phase: String, config: SweepConfig) {
        self.phase = phase
        self.config = config
    }

    /// Fills in what the fields say. A field that is not known is warned of: it may be for another program.
    func read(
        _ fields: [SweepEntry], into task: inout TaskSpec, _ context: inout SweepContext
    ) throws(SweepError) {
        for entry in fields {
            let field = "\(phase).\(entry.key)"
            switch entry.key {
            case "combinations", "defaults": break
            case "command": task.command = try command(entry, field, &context)
            case "priority": task.priority = try integer(entry, field, &context)
            case "max_retries":
                task.maxRetries = try integer(entry, field, &context)
                guard task.maxRetries >= 0 else {
                    throw context.refusal(.badValue, entry.line, field, "this must be 0 or more")
                }
            case "timeout": task.timeoutSeconds = try duration(entry, field, &context)
            case "after": task.after = try after(entry, field, &context)
            case "env": task.environment = try environment(entry, field, &context)
            case "cwd": task.workingDirectory = try directory(entry, field, &context)
            case "key": task.key = try key(entry, field, &context)
            default:
                context.warn(entry.line, "\(field): this key of a phase is not known and not used")
            }
        }
    }

    private func command(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [String]? {
        if isNull(entry.value) { return nil }
        let words = try texts(entry, field, context)
        if words.count == 1, words[0].contains(where: \.isWhitespace), case .scalar = entry.value {
            throw context.refusal(
                .wrongType, entry.line, field, "this must be a list, as in [python3, train.py]; no shell is involved")
        }
        guard let program = words.first, !program.isEmpty else {
            throw context.refusal(.emptyList, entry.line, field, "this is empty; name a program")
        }
        for word in words {
            if word.utf8.contains(0) {
                throw context.refusal(.badValue, entry.line, field, "an argument has a zero byte; take it out")
            }
        }
        do throws(CommandTemplateError) {
            try CommandTemplate(words).validate(against: config.keys, place: "phase \(phase)")
        } catch {
            let code: SweepError.Code = if case .unknownKey = error { .unknownPlaceholder } else { .badValue }
            throw context.refusal(code, entry.line, field, error.description)
        }
        return words
    }

    private func integer(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> Int {
        let value = try context.value(of: entry.value, field, line: entry.line)
        guard value.kind == .number, let number = Int(value.text) else {
            throw context.refusal(.wrongType, value.line, field, "this must be a whole number")
        }
        return number
    }

    private func duration(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> Double? {
        let value = try context.value(of: entry.value, field, line: entry.line)
        if value.kind == .null { return nil }
        let seconds =
            switch value.kind {
            case .number: Double(value.text)
            case .string: DurationText.seconds(value.text)
            default: Double?.none
            }
        guard let seconds, seconds.isFinite, seconds > 0 else {
            throw context.refusal(
                .badValue, value.line, field, "this must be a duration above 0: seconds, or 500ms, 50s, 10m, 2h, 7d")
        }
        return seconds
    }

    private func after(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [String] {
        if isNull(entry.value) { return [] }
        var names: [String] = []
        for name in try texts(entry, field, context) where !names.contains(name) {
            if let problem = SweepPhaseReader.phaseNameProblem(name) {
                throw context.refusal(.badPhaseName, entry.line, field, problem)
            }
            if name == phase {
                throw context.refusal(.badValue, entry.line, field, "a phase cannot wait for itself; name another one")
            }
            names.append(name)
        }
        return names
    }

    private func environment(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [EnvironmentVariable] {
        var variables: [EnvironmentVariable] = []
        for member in try SweepPhaseReader.optionalEntries(entry, field, &context) {
            guard case .scalar(let scalar) = member.value else {
                throw context.refusal(.wrongType, member.line, "\(field).\(member.key)", "this must be plain text")
            }
            let name = member.key
            guard !name.isEmpty, !name.contains("="), !(name + scalar.string).utf8.contains(0) else {
                throw context.refusal(
                    .badValue, member.line, "\(field).\(name)", "a variable has a name without '=' and no zero byte")
            }
            // As written: what `DEBUG: yes` or `MASK: 010` means is for the program to say.
            variables.append(EnvironmentVariable(name: name, value: isNull(member.value) ? "" : scalar.string))
        }
        return variables
    }

    private func directory(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> String? {
        if isNull(entry.value) { return nil }
        guard case .scalar(let scalar) = entry.value, !scalar.string.isEmpty,
            !OutputDirectory.hasControlCharacter(scalar.string)
        else { throw context.refusal(.wrongType, entry.line, field, "this must be a directory's path") }
        return scalar.string
    }

    private func key(
        _ entry: SweepEntry, _ field: String, _ context: inout SweepContext
    ) throws(SweepError) -> [String] {
        var columns: [String] = []
        for name in try texts(entry, field, context) where !columns.contains(name) {
            guard name == "phase" || name == "seed" || config.source(of: name) != nil else {
                throw context.refusal(
                    .badValue, entry.line, field,
                    "'\(name)' is neither phase, seed nor a key of the config; take it out")
            }
            columns.append(name)
        }
        guard !columns.isEmpty else {
            throw context.refusal(.emptyList, entry.line, field, "this list is empty; name at least one column")
        }
        return columns
    }

    /// The texts of a list of scalars, or of one scalar, as written.
    private func texts(
        _ entry: SweepEntry, _ field: String, _ context: SweepContext
    ) throws(SweepError) -> [String] {
        let nodes: [Node] = if case .sequence(let list) = entry.value { Array(list) } else { [entry.value] }
        var texts: [String] = []
        for node in nodes {
            guard case .scalar(let scalar) = node else {
                throw context.refusal(.wrongType, node.mark?.line ?? entry.line, field, "this must be a list of texts")
            }
            texts.append(scalar.string)
        }
        return texts
    }

    private func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain else { return false }
        return CoreSchema(Array(scalar.string.utf8)) == .null
    }
}
