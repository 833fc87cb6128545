import ArgumentParser
import EventLog
import Projections

/// `manager backups`: what stands in `backups/`.
struct BackupsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backups", abstract: "List the backups of the state, each read and its checksum compared.",
        discussion: "Example: manager backups --json | jq '.[] | select(.ok | not)'. Exit 2 where one is damaged.")

    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "A JSON array.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.existing()
            let list = try await onThread(named: "backups") { Result { try BackupList(data) } }.get()
            Terminal.write(json ? list.json + [10] : Array(list.table.utf8))
            if list.entries.contains(where: { $0.problem != nil }) { throw ExitCode(2) }
        }
    }
}
