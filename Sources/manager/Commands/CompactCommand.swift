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
        discussion: """
            With --discard-before the oldest segments go for good, or with --archive into another directory, which every verb \
            that reads can be pointed at. The state where history begins then is kept in journal/baseline-<seq>.json.gz; the \
            journal's event 'compacted' names every segment that went with its hash.

            Examples:
              manager compact --data-dir runs --json
              manager compact --discard-before -90d --archive /mnt/old/runs
              manager history TASK --data-dir /mnt/old/runs
            """)

    @OptionGroup var dataOptions: DataOptions
    @Option(help: "The running manager (MANAGER_URL; default: the address in journal/lock).") var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?
    @Option(
        parsing: .unconditional,
        help: "Drop the segments whose events all are before this time: ISO 8601 (without zone: UTC), now, or -90d.")
    var discardBefore: String?
    @Option(help: "Move them to this directory (on the manager's machine) instead.") var archive: String?
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            let discarding = try discarding(data)
            let named = try NamedManager.find(url, ca: ca, usesDefault: dataOptions.directory == nil)
            let answer: [UInt8]
            if let named {
                answer = try await Self.ask(named, discarding)
            } else {
                guard try !data.journal.segments().isEmpty else {
                    throw VerbFailure("there is no journal in \(data.path)", status: 1)
                }
                if let lock = try Self.takeFreeLock(data) {
                    answer = try await onThread(named: "compact") { Result { try Self.here(data, lock, discarding) } }
                        .get()
                } else if let manager = LockLine.manager(data) {
                    answer = try await Self.ask(manager, discarding)
                } else {
                    throw VerbFailure("the manager on \(data.path) is not ready yet: try again in a second", status: 1)
                }
            }
            Terminal.write(json ? answer + [10] : Array(try Self.text(answer).utf8))
        }
    }

    /// What goes for good; nil where nothing is asked for.
    private func discarding(_ data: DataDirectory) throws -> Discarding? {
        guard let discardBefore else {
            guard archive == nil else {
                throw ValidationError("--archive says where to: name --discard-before TIME too")
            }
            return nil
        }
        let before: LogTime
        do { before = try Discarding.time(discardBefore) } catch {
            throw ValidationError("--discard-before: \(error)")
        }
        guard archive?.isEmpty != true else { throw ValidationError("--archive names no directory") }
        let path = archive.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
        return Discarding(data: data, before: before, archive: path)
    }

    private static func ask(_ manager: NamedManager, _ discarding: Discarding?) async throws -> [UInt8] {
        guard let discarding, let before = discarding.before else {
            return try await ManagerClient(manager).ask(.POST, "/compact", within: .hours(24))
        }
        var body = Array("{\"discard_before\":\"\(before)\"".utf8)
        if let archive = discarding.archive {
            body += Array(",\"archive\":".utf8)
            appendJSONString(archive, to: &body)
        }
        return try await ManagerClient(manager).ask(.POST, "/compact", body: body + [125], within: .hours(24))
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

    private static func here(
        _ data: DataDirectory, _ lock: DirectoryLock, _ discarding: Discarding?
    ) throws -> [UInt8] {
        let offline = try OfflineManager(data, lock) { Terminal.complain("manager: \($0)") }
        let outcome = Result {
            try Compaction(processor: offline.processor, snapshots: offline.snapshots).run(
                discarding: discarding, actor: CommandLineActor.name)
        }
        try offline.close()
        return Array(try outcome.get().json.utf8)
    }

    private static func text(_ answer: [UInt8]) throws -> String {
        var numbers: [String: Int64] = [:]
        var discarded: [String: Int64]?
        var texts: [String: String] = [:]
        try answer.withUnsafeBufferPointer { buffer in
            var reader = JSONReader(buffer)
            try reader.object { key, reader throws(JSONError) in
                guard key == "discarded" else {
                    numbers[key] = try reader.integer()
                    return
                }
                var found: [String: Int64] = [:]
                try reader.object { key, reader throws(JSONError) in
                    switch try reader.kind() {
                    case .number: found[key] = try reader.integer()
                    case .string: texts[key] = try reader.string()
                    default: try reader.skip()
                    }
                }
                discarded = found
            }
        }
        let before = numbers["bytes_before"] ?? 0
        let after = numbers["bytes_after"] ?? 0
        let share = before == 0 ? "100.0" : ManagerState.oneDecimal(Double(after) / Double(before) * 100)
        func files(_ key: String) -> String { numbers[key] == 1 ? "1 file" : "\(numbers[key] ?? 0) files" }
        return text(discarded, texts)
            + "Compacted: \(files("segments_before")) with \(before) bytes became "
            + "\(files("segments_after")) with \(after) bytes (\(share)%); every line \(discarded == nil ? "" : "of these ")is kept\n"
    }

    private static func text(_ discarded: [String: Int64]?, _ texts: [String: String]) -> String {
        guard let discarded else { return "" }
        guard let last = discarded["last_seq"], last > 0 else {
            return "Nothing was discarded: no segment lies wholly before that time\n"
        }
        let moved = texts["archive"].map { "moved to \($0)" } ?? "discarded"
        let segments = discarded["segments"] == 1 ? "1 segment" : "\(discarded["segments"] ?? 0) segments"
        return
            "\(discarded["events"] ?? 0) events in \(segments) (\(discarded["bytes"] ?? 0) bytes) "
            + "were \(moved); history begins behind seq \(last), \(texts["baseline"] ?? "") stands in for it\n"
    }
}
