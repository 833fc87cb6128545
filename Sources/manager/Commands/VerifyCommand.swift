import ArgumentParser
import EventLog
import Projections

/// `manager verify`: every byte of the journal, and the snapshot.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Check every line, gzip frame, the chain of segments, and the snapshot. Exit 2 on damage.",
        discussion: "Example: manager verify --json. A running manager does not disturb.")

    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            let report = try await onThread(named: "verify") { Result { try Self.verify(data) } }.get()
            Terminal.write(Array((json ? Self.json(report) : Self.text(report)).utf8))
            if !report.damage.isEmpty { throw ExitCode(2) }
        }
    }

    private static func verify(_ data: DataDirectory) throws -> Verifier.Report {
        var report = try check(data)
        // Backups and baselines, as a start looks at them: before the journal they tell of what it lacks.
        let copies = StateCopies(data: data, warn: { _ in })
        if let beyond = copies.beyond(report.last), report.damage.isEmpty {
            let name = String(beyond.path.dropFirst(data.path.count + 1))
            report.damage.append(Self.beyondEnd("../" + name, beyond.position, report.last))
        }
        return report
    }

    private static func check(_ data: DataDirectory) throws -> Verifier.Report {
        let verifier = Verifier(data.journal)
        guard try data.fileSystem.metadata(data.stateFile) != nil else { return try verifier.run() }
        let bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        let state: ManagerState
        do throws(SnapshotProblem) { state = try StateDecoder.state(bytes) } catch {
            var report = try verifier.run()
            if error != .noJournalMember { report.damage.append(snapshotDamage(error.description, .zero)) }
            return report
        }
        var report = try verifier.run(wanted: [state.position])
        guard report.damage.isEmpty, state.position > .zero else { return report }
        if state.position > report.last {
            report.damage.append(beyondEnd("../manager_state.json", state.position, report.last))
        } else if report.crcs[state.position] != state.crc {
            report.damage.append(snapshotDamage("its last event is not the journal's", state.position))
        }
        return report
    }

    private static func snapshotDamage(_ detail: String, _ position: LogPosition) -> JournalDamage {
        JournalDamage(kind: .bitRot, file: "../manager_state.json", position: position, detail: detail)
    }

    private static func beyondEnd(_ file: String, _ position: LogPosition, _ last: LogPosition) -> JournalDamage {
        JournalDamage(
            kind: .missingSegment, file: file, position: position,
            detail: "it stands at seq \(position), the journal ends at seq \(last)")
    }

    private static func text(_ report: Verifier.Report) -> String {
        var text = ""
        for damage in report.damage { text += "\(damage)\n" }
        text +=
            "\(report.damage.isEmpty ? "ok" : "damaged"): \(report.events) events in \(report.segments) segments, last seq \(report.last)\n"
        if let head = report.headSHA256 { text += "head hash: \(head)@\(report.last)\n" }
        if let tail = report.tail {
            text +=
                "an unfinished write of \(tail.bytes) bytes at the end of journal/\(tail.file) (byte \(tail.byte)): the next start cuts it\n"
        }
        return text
    }

    private static func json(_ report: Verifier.Report) -> String {
        func quoted(_ text: String) -> String {
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return String(decoding: out, as: UTF8.self)
        }
        let damage = report.damage.map { item in
            "{\"kind\":\(quoted(item.kind.rawValue)),\"file\":\(quoted(item.file)),\"line\":\(item.line.map(String.init) ?? "null"),"
                + "\"byte\":\(item.byte.map { String($0) } ?? "null"),\"seq\":\(item.position),\"detail\":\(quoted(item.detail))}"
        }
        let tail =
            report.tail.map { "{\"file\":\(quoted($0.file)),\"byte\":\($0.byte),\"bytes\":\($0.bytes)}" } ?? "null"
        return "{\"ok\":\(report.damage.isEmpty),\"events\":\(report.events),\"segments\":\(report.segments),"
            + "\"last_seq\":\(report.last),\"head_sha256\":\(report.headSHA256.map(quoted) ?? "null"),\"tail\":\(tail),"
            + "\"damage\":[\(damage.joined(separator: ","))]}\n"
    }
}
