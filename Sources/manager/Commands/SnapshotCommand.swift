import ArgumentParser
import EventLog
import Foundation
import NIOHTTP1
import Projections

/// `manager snapshot`: saves the state now.
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Save manager_state.json now: by the running manager, or here.",
        discussion: "Example: manager snapshot --data-dir runs")

    @OptionGroup var dataOptions: DataOptions
    @Option(help: "The running manager (MANAGER_URL; default: the address in journal/lock).") var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            let named = try NamedManager.find(url, ca: ca, usesDefault: dataOptions.directory == nil)
            // The lock says whether a manager runs; its line alone may be a dead one's.
            if named == nil, let lock = try Self.takeFreeLock(data) {
                let text = try await onThread(named: "snapshot") { Result { try Self.write(data, lock) } }.get()
                Terminal.write(Array(text.utf8))
            } else if let manager = named ?? LockLine.manager(data) {
                Terminal.write(try await Self.ask(manager) + [10])
            } else {
                throw VerbFailure("the manager on \(data.path) is not ready yet: try again in a second", status: 1)
            }
        }
    }

    /// The lock, or nil where a running manager holds it.
    private static func takeFreeLock(_ data: DataDirectory) throws(JournalError) -> DirectoryLock? {
        do throws(JournalError) { return try DirectoryLock(data.journalPath, on: data.fileSystem) } catch {
            if case .locked = error { return nil }
            throw error
        }
    }

    private static func ask(_ manager: NamedManager) async throws -> [UInt8] {
        try await ManagerClient(manager).ask(.POST, "/snapshot")
    }

    /// A state file of another program, or one that knows of events which the journal does not have, is not written over.
    private static func refuseToReplace(_ data: DataDirectory, _ last: LogPosition) throws {
        guard try data.fileSystem.metadata(data.stateFile) != nil else { return }
        let bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        guard StateDecoder.isOwn(bytes) else {
            throw VerbFailure(
                "\(data.stateFile) was written by another program: 'manager import' or a start takes it over", status: 1
            )
        }
        if case .success(let known) = Result(catching: { try StateDecoder.state(bytes, ofOlderFolds: true) }),
            known.position > last
        {
            throw StartFailure(
                .snapshotBeyondEnd(snapshot: known.position, path: data.stateFile, last: last))
        }
    }

    /// Without a running manager: takes the lock and writes the state that the journal gives.
    private static func write(_ data: DataDirectory, _ lock: DirectoryLock) throws -> String {
        defer { lock.release() }
        let outcome = try Replay.state(at: .now, in: data.journal)
        guard outcome.unread == nil else {
            throw VerbFailure("the journal ends in an unfinished write: start the manager once, it cuts it", status: 1)
        }
        if try OwedRowsCheck.owes(data) {
            throw VerbFailure(
                "result rows may be owed since the last snapshot: start the manager once, it writes them", status: 1)
        }
        try refuseToReplace(data, outcome.state.position)
        try SnapshotService.write(outcome.state, to: data, paced: false)
        return "{\"seq\":\(outcome.state.position),\"tasks\":\(outcome.state.taskCount)}\n"
    }
}

/// Whether a snapshot could pass rows that are owed: completions with a result after the last good one.
enum OwedRowsCheck {
    static func owes(_ data: DataDirectory) throws -> Bool {
        var from = LogPosition(1)
        if try data.fileSystem.metadata(data.stateFile) != nil,
            case .success(let state) = Result(catching: {
                try StateDecoder.state(
                    try readWholeFile(data.stateFile, on: data.fileSystem), ofOlderFolds: true)
            })
        {
            from = state.position.next
        }
        var owes = false
        try LogReader(data.journal, from: from, prefetching: true).forEach { line throws(JournalError) in
            do throws(EventError) {
                let event = try EventView(line)
                owes = event.result != nil && (event.kind == .completed || event.kind == .result)
            } catch { return true }
            return !owes
        }
        return owes
    }
}
