import Projections

/// A command line with `{key}` in its arguments, to be filled in for each task. No shell is involved.
///
/// `{key}` is the config's value: strings without quotes, numbers as given, `true`/`false`/`null`, arrays and objects
/// as compact JSON. `{task_id}`, `{phase}`, `{seed}`, `{attempt}`, `{output_dir}`, `{config_file}` and `{result_file}`
/// are the task's own and go before a config key of that name. `{{` is a brace, `}}` too; a single `}` outside of a
/// key stands for itself.
struct CommandTemplate: Sendable, Equatable {
    /// The arguments as they were given, the program first.
    let source: [String]
    private let arguments: [[Piece]]

    private enum Piece: Sendable, Equatable {
        case text(String)
        case key(String)
    }

    /// The keys that every task has.
    static let taskKeys: Set<String> = [
        "task_id", "phase", "seed", "attempt", "output_dir", "config_file", "result_file",
    ]

    /// Reads the arguments. Throws where there are none or a brace is not closed.
    init(_ arguments: [String]) throws(CommandTemplateError) {
        guard let program = arguments.first, !program.isEmpty else { throw .noProgram }
        source = arguments
        var parsed: [[Piece]] = []
        for argument in arguments { parsed.append(try Self.pieces(of: argument)) }
        self.arguments = parsed
    }

    /// The keys that stand in the arguments, each once, in order.
    var keys: [String] {
        var seen: Set<String> = []
        return arguments.joined().compactMap { piece in
            guard case .key(let key) = piece, seen.insert(key).inserted else { return nil }
            return key
        }
    }

    /// Throws at the first key that neither the task nor a config with these keys has.
    func validate(against configKeys: Set<String>, place: String = "this task") throws(CommandTemplateError) {
        for (index, pieces) in arguments.enumerated() {
            for case .key(let key) in pieces where !Self.taskKeys.contains(key) && !configKeys.contains(key) {
                throw .unknownKey(key, argument: source[index], place: place, known: configKeys.sorted())
            }
        }
    }

    /// The arguments with the values filled in; `values` maps every key in use to its text.
    ///
    /// Throws at an unknown key, and at a value with a NUL, which no argument can hold.
    func filled(with values: [String: String], place: String) throws(CommandTemplateError) -> [String] {
        var filled: [String] = []
        for (index, pieces) in arguments.enumerated() {
            var argument = ""
            for piece in pieces {
                switch piece {
                case .text(let text): argument += text
                case .key(let key):
                    guard let value = values[key] else {
                        let known = Set(values.keys).subtracting(Self.taskKeys).sorted()
                        throw .unknownKey(key, argument: source[index], place: place, known: known)
                    }
                    argument += value
                }
            }
            guard !argument.utf8.contains(0) else { throw .containsNUL(argument: source[index], place: place) }
            filled.append(argument)
        }
        return filled
    }

    /// Checks a whole sweep before anything starts: every task has a command, its own or `fallback`, whose keys its
    /// config has. Throws at the first that has not, naming it.
    static func validate(_ tasks: some Sequence<TaskSpec>, fallback: [String]?) throws(CommandTemplateError) {
        var templates: [[String]: CommandTemplate] = [:]
        for (index, task) in tasks.enumerated() {
            let place = "\(task.id.map { "task \($0)" } ?? "point \(index + 1)") of phase \(task.phase)"
            guard let command = task.command ?? fallback else { throw .noCommand(place: place) }
            let template: CommandTemplate
            if let known = templates[command] {
                template = known
            } else {
                template = try CommandTemplate(command)
                templates[command] = template
            }
            guard !template.keys.isEmpty else { continue }
            let config: StrictJSON
            do throws(JSONError) { config = try StrictJSON(object: task.config) } catch {
                throw .badConfig(place: place, fault: error)
            }
            try template.validate(against: Set(config.members.map(\.name)), place: place)
        }
    }

    private static func pieces(of argument: String) throws(CommandTemplateError) -> [Piece] {
        var pieces: [Piece] = []
        var text = ""
        var rest = Substring(argument)
        while let character = rest.popFirst() {
            if (character == "{" || character == "}") && rest.first == character {
                rest.removeFirst()
                text.append(character)
            } else if character == "{" {
                guard let end = rest.firstIndex(of: "}") else { throw .unclosedBrace(argument: argument) }
                if !text.isEmpty { pieces.append(.text(text)) }
                text = ""
                pieces.append(.key(String(rest[..<end])))
                rest = rest[rest.index(after: end)...]
            } else {
                text.append(character)
            }
        }
        if !text.isEmpty { pieces.append(.text(text)) }
        return pieces
    }
}

/// Why a command cannot be run for a task.
enum CommandTemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No argument at all, or an empty program name.
    case noProgram
    /// Neither the task's phase nor the worker brings a command.
    case noCommand(place: String)
    /// A `{` without its `}`.
    case unclosedBrace(argument: String)
    /// A `{key}` that the config lacks.
    case unknownKey(String, argument: String, place: String, known: [String])
    /// A value that would end the argument early.
    case containsNUL(argument: String, place: String)
    /// The config is no JSON object.
    case badConfig(place: String, fault: JSONError)

    /// One sentence: what is wrong, where, what to do.
    var description: String {
        switch self {
        case .noProgram: "the command is empty: write the program and its arguments after --"
        case .noCommand(let place): "\(place) has no command: write one after --, or `command:` in its phase"
        case .unclosedBrace(let argument):
            "the { in the argument '\(argument)' is not closed: write {key}, or {{ for a brace"
        case .unknownKey(let key, let argument, let place, let known):
            "unknown key {\(key)} in the argument '\(argument)': \(place) has "
                + (known.isEmpty ? "no config keys" : known.joined(separator: ", "))
                + ", and all have \(CommandTemplate.taskKeys.sorted().joined(separator: ", ")); {{ is a brace"
        case .containsNUL(let argument, let place):
            "the argument '\(argument)' of \(place) would hold a NUL character, which the system cannot pass on"
        case .badConfig(let place, let fault): "the config of \(place) is no JSON object: \(fault)"
        }
    }
}
