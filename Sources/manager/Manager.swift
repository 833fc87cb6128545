import ArgumentParser
import CScan

/// The program: the list of its verbs.
@main
struct Manager: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manager",
        abstract: "Runs sweeps of experiments and never loses an acknowledged transition.",
        version: ManagerDaemon.version,
        subcommands: [
            RunCommand.self, ServeCommand.self, StatusCommand.self, TailCommand.self, HistoryCommand.self,
            WorkerCommand.self, KeepProgramCommand.self,
            ReplayCommand.self, SnapshotCommand.self, VerifyCommand.self,
            SubmitCommand.self, TasksCommand.self, ShowCommand.self, WorkersCommand.self, LogsCommand.self,
            ResultsCommand.self, WaitCommand.self, CancelCommand.self, HoldCommand.self, ReleaseCommand.self,
            RetryCommand.self, RequeueCommand.self, PriorityCommand.self, DiffCommand.self, WhyCommand.self,
            RepairCommand.self, ImportCommand.self, ResetCommand.self, BackupsCommand.self, CompactCommand.self,
            TokenCommand.self, RestoreCommand.self, ExportCommand.self, ReconcileCommand.self,
        ])

    static func main() async {
        // Long reads allocate and free some megabytes for every chunk. Handed back to the kernel each time, every page of
        // them is faulted in anew: an eighth of a replay's time.
        clinux_keep_freed_memory()
        var arguments = Array(CommandLine.arguments.dropFirst())
        if let problem = unknownVerb(arguments) { refuse(problem, by: Manager.self) }
        if arguments.first == PriorityCommand.configuration.commandName {
            arguments = PriorityCommand.withOption(arguments)
        }
        do {
            var command = try parseAsRoot(arguments)
            do {
                if var waiting = command as? any AsyncParsableCommand {
                    try await waiting.run()
                } else {
                    try command.run()
                }
            } catch let error as ValidationError {
                // Found when everything was parsed: the library would show the program's usage, not the verb's.
                refuse("\(error)", by: type(of: command))
            }
        } catch { exit(withError: error) }
    }

    /// What is wrong with a first word that names no verb; nil where it may name one. The library takes `--help` behind it
    /// for a question about the whole program, and ends with 0.
    private static func unknownVerb(_ arguments: [String]) -> String? {
        guard let first = arguments.first, !first.hasPrefix("-"), first != "help" else { return nil }
        let verbs = configuration.subcommands.compactMap { $0.configuration.commandName }
        return verbs.contains(first) ? nil : "there is no verb '\(first)'"
    }

    /// Ends with 64: the sentence, the verb's usage, and where there is more.
    private static func refuse(_ problem: String, by verb: any ParsableCommand.Type) -> Never {
        let usage = verb == Manager.self ? usageString() : usageString(for: verb)
        let words = (["manager"] + path(to: verb, below: configuration) + ["--help"]).joined(separator: " ")
        Terminal.complain("Error: \(problem)\nUsage: \(usage)\n  See '\(words)' for more information.")
        exit(withError: ExitCode.validationFailure)
    }

    /// The words by which a verb is called; none for the program itself.
    private static func path(to verb: any ParsableCommand.Type, below above: CommandConfiguration) -> [String] {
        for candidate in above.subcommands {
            let name = [candidate.configuration.commandName].compactMap { $0 }
            if candidate == verb { return name }
            let further = path(to: verb, below: candidate.configuration)
            if !further.isEmpty { return name + further }
        }
        return []
    }
}
