import ArgumentParser
import EventLog
import Projections

/// `manager replay`: the state as it was, in the schema of the state file.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Print the state as of any moment, in the schema of manager_state.json.",
        discussion: "Example: manager replay --at 2026-11-03T14:05:00Z | jq '.assigned_tasks | keys'")

    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            // From the first event, not from a snapshot: a replay is what snapshots are checked against.
            let outcome = try await onThread(named: "replay") {
                Result { try Replay.state(at: moment, in: data.journal) }
            }.get()
            Terminal.warnBeyond(outcome)
            try StateEncoder.write(outcome.state) { Terminal.write($0) }
        }
    }
}
