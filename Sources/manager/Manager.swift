import ArgumentParser

/// The program: the list of its verbs.
@main
struct Manager: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manager",
        abstract: "Runs sweeps of experiments and never loses an acknowledged transition.",
        version: ManagerDaemon.version,
        subcommands: [
            RunCommand.self, ServeCommand.self, StatusCommand.self, TailCommand.self, HistoryCommand.self,
            ReplayCommand.self, SnapshotCommand.self, VerifyCommand.self,
            ImportCommand.self, ResetCommand.self, BackupsCommand.self, CompactCommand.self,
        ])
}
