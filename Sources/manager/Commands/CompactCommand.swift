import ArgumentParser
import EventLog
import Foundation
import NIOCore
import NIOHTTP1
import Projections

/// `manager compact`: the journal in fewer, smaller files.
struct CompactCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compact",
        abstract:
            "Seal, compress and merge the journal's segments: by the running manager, or here. Every line is kept.",
        discussion: "Example: manager compact --data-dir runs --json")

    @OptionGroup var dataOptions: DataOptions
    @Option(help: "The running manager (MANAGER_URL; default: the address in journal/lock).") var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            let named = try NamedManager.find(url, ca: ca, usesDefault: dataOptions.directory == nil)
            let answer: [UInt8]
            if let named {
                answer = try await Self.ask(named)
            } else {
                guard try !data.journal.segments().isEmpty else {
                    throw VerbFailure("there is no journal in \(data.path)", status: 1)
                }
                if let lock = try Self.takeFreeLock(data) {
                    answer = try await onThread(named: "compact") { Result { try Self.here(data, lock) } }.get()
                } else if let manager = LockLine.manager(data) {
                    answer = try await Self.ask(manager)
                } else {
                    throw VerbFailure("the manager on \(data.path) is not ready yet: try again in a second", status: 1)
                }
            }
            Terminal.write(json ? answer + [10] : Array(try Self.text(answer).utf8))
        }
    }

    private static func ask(_ manager: NamedManager) async throws -> [UInt8] {
        try await ManagerClient(manager).ask(.POST, "/compact", within: .hours(24))
    }

    /// The lock, or nil where a running manager holds it.
    private static func takeFreeLock(_ data: DataDirectory) throws -> DirectoryLock? {
        do throws(JournalError) {
            let lock = try DirectoryLock(data.journalPath, on: data.fileSystem)
            do throws(FileError) { try lock.describe(HeldLock.line()) } catch { throw .file(error) }
            return lock
        } catch {
            if case .locked = error { return nil }
            throw error
        }
    }

    private static func here(_ data: DataDirectory, _ lock: DirectoryLock) throws -> [UInt8] {
        let offline = try OfflineManager(data, lock) { Terminal.complain("manager: \($0)") }
        let outcome = Result {
            try Compaction(processor: offline.processor, snapshots: offline.snapshots).run(
                actor: CommandLineActor.name)
        }
        try offline.close()
        return Array(try outcome.get().json.utf8)
    }

    private static func text(_ answer: [UInt8]) throws -> String {
        var numbers: [String: Int64] = [:]
        try answer.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            try reader.object { key, reader throws(JSONError) in numbers[key] = try reader.integer() }
        }
        let before = numbers["bytes_before"] ?? 0
        let after = numbers["bytes_after"] ?? 0
        let share = before == 0 ? "100.0" : ManagerState.oneDecimal(Double(after) / Double(before) * 100)
        return "Compacted: \(numbers["segments_before"] ?? 0) files with \(before) bytes became "
            + "\(numbers["segments_after"] ?? 0) files with \(after) bytes (\(share)%); every line is kept\n"
    }
}
