import ArgumentParser
import EventLog
import Projections

/// `manager token`: who may speak to a manager.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "Make, list and remove tokens: who may speak to a manager, and what it may do.",
        discussion: "Example: manager token create --role worker gpu-box",
        subcommands: [TokenCreateCommand.self, TokenListCommand.self, TokenRemoveCommand.self])
}

/// Which file of tokens.
struct TokenFileOptions: ParsableArguments {
    @Option(help: "The file (MANAGER_TOKENS; default: ~/.config/manager/tokens).") var tokens: String?

    var file: TokenFile { TokenFile.named(tokens) ?? TokenFile.usual }

    /// Runs a verb's body; what is wrong with the file ends it with a sentence.
    func carryOut(_ body: (TokenFile) throws -> Void) async throws {
        try await Terminal.ending {
            do { try body(file) } catch let problem as TokenFile.Problem {
                throw VerbFailure(problem.description, status: 1)
            }
        }
    }
}

/// `manager token create --role worker NAME`: prints the token, once.
struct TokenCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Make a token and print it: it is shown once, only its hash is kept.",
        discussion: """
            Roles: viewer reads; worker also takes tasks and reports of them; operator does everything.
            A manager that runs takes the file anew at SIGHUP.

            Example: export MANAGER_TOKEN=$(manager token create --role worker gpu-box)
            """)

    @Argument(help: "The token's name: it stands in the journal as the actor.") var name: String
    @Option(help: "viewer, worker or operator.") var role: String
    @OptionGroup var options: TokenFileOptions

    func run() async throws {
        guard let role = Role(rawValue: role) else { throw ValidationError("--role \(role) is none: \(Role.words)") }
        try await options.carryOut { file in
            let token = try file.create(name, role)
            Terminal.write(Array((token + "\n").utf8))
            Terminal.complain(
                "manager: \(name) (\(role.rawValue)) stands in \(file.path); a running manager takes it at SIGHUP")
        }
    }
}

/// `manager token list`: names and roles.
struct TokenListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The tokens' names and roles.")
    @OptionGroup var options: TokenFileOptions
    @Flag(help: "One JSON array.") var json = false

    func run() async throws {
        try await options.carryOut { file in
            let callers = try file.callers()
            guard json else {
                let lines = callers.map { "\($0.name) \($0.role.rawValue)\n" }.joined()
                return Terminal.write(Array(lines.utf8))
            }
            var out: [UInt8] = [91]
            for (index, caller) in callers.enumerated() {
                if index > 0 { out.append(44) }
                out.append(contentsOf: "{\"name\":".utf8)
                appendJSONString(caller.name, to: &out)
                out.append(contentsOf: ",\"role\":\"\(caller.role.rawValue)\"}".utf8)
            }
            Terminal.write(out + [93, 10])
        }
    }
}

/// `manager token remove NAME`.
struct TokenRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Take a token away; a running manager refuses it from its next SIGHUP on.")
    @Argument(help: "The token's name.") var name: String
    @OptionGroup var options: TokenFileOptions

    func run() async throws {
        try await options.carryOut { file in
            guard try file.remove(name) else {
                throw VerbFailure("\(file.path) has no token named '\(name)'", status: 1)
            }
        }
    }
}
