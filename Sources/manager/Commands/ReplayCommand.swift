import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager replay`: the state as it was, in the schema of the state file.
struct ReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay", abstract: "Print the state as of any moment, in the schema of manager_state.json.",
        discussion: """
            Without a moment every event is folded from the first on: what snapshots are checked against. With one, the newest
            state kept before it is gone on from; --full folds everything then, too.

            Example: manager replay --at 2026-11-03T14:05:00Z | jq '.assigned_tasks | keys'
            """)

    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions
    @Flag(help: "Fold every event from the first on, whatever is kept.") var full = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let moment = try momentOptions.moment()
            let fromBeginning = full || !momentOptions.isGiven
            let found = try await onThread(named: "replay") {
                Result { try MomentReader(data).state(at: moment, fromBeginning: fromBeginning) }
            }.get()
            Terminal.warn(found.isBeyondEnd, found.gaps, found.state.position)
            let cores = ProcessInfo.processInfo.activeProcessorCount
            try StateEncoder.write(found.state, cores: min(cores, 4)) { Terminal.write($0) }
        }
    }
}
