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
        await main(nil)
    }
}
