import ArgumentParser
import EventLog
import Projections

/// `manager verify`: every byte of the journal, the snapshot, and the states that were saved.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: """
            Check every line, gzip frame, the chain of segments, and the snapshot. Exit 2 on damage, 1 where nothing is \
            damaged but this program cannot read an event.
            """,
        discussion: """
            Example: manager verify --json. A running manager does not disturb.
            The checksums show damage; against somebody who can rewrite every file, keep the head hash that this prints \
            elsewhere, and give it back with --anchor.
            """)

    @OptionGroup var dataOptions: DataOptions
    @Option(
        help: ArgumentHelp(
            "A head hash that was kept elsewhere: nothing up to this event was changed. Repeatable.",
            valueName: "HASH@SEQ"))
    var anchor: [String] = []
    @Flag(help: "Replay, and compare with the state hash in the snapshot, each backup and each baseline.")
    var state = false
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            let anchors = try anchor.map { text in
                guard let anchor = Anchor(text) else {
                    throw ValidationError("--anchor \(text) is no HASH@SEQ, as 'manager verify' prints it")
                }
                return anchor
            }
            let comparesStates = state
            let report = try await onThread(named: "verify") {
                Result { try VerifyReport(data, anchors: anchors, comparesStates: comparesStates) }
            }.get()
            Terminal.write(Array((json ? report.json : report.text).utf8))
            if report.isDamaged { throw ExitCode(2) }
            if let refusal = report.refusal { throw VerbFailure(refusal, status: 1) }
        }
    }
}

/// What a verification found, in words and as JSON.
struct VerifyReport {
    private var report: Verifier.Report
    private var states: [StateCheck.Finding] = []
    private let comparesStates: Bool

    /// Checks a directory. Throws what is no damage.
    init(_ data: DataDirectory, anchors: [Anchor], comparesStates: Bool) throws {
        self.comparesStates = comparesStates
        report = try Self.journal(data, anchors)
        report.damage += try Self.baselines(data)
        report.damage += Self.copiesBeyondEnd(data, report)
        // Where lines are broken, or cannot be read, a replay ends there.
        guard comparesStates, report.unfoldable.isEmpty,
            report.damage.allSatisfy({ $0.kind == .anchor || $0.file.contains("/") })
        else { return }
        states = try StateCheck(data).run()
        report.damage += states.compactMap(\.damage)
    }

    /// False where nothing is damaged but what repair knows of.
    var isDamaged: Bool { !report.damage.isEmpty }

    /// True where a manager of this version can work with the directory: nothing is damaged, and every event is known.
    var isGood: Bool { !isDamaged && report.unfoldable.isEmpty }

    /// Why this program cannot read a journal whose bytes are right: a sentence; nil where it can.
    var refusal: String? {
        report.unfoldable.first.map { JournalError.unfoldable(position: $0.position, problem: $0.problem).description }
    }

    private static func problem(with line: LogLine) -> String? {
        if EventView.beginsWithKnownType(line.body) { return nil }
        do throws(EventError) { _ = try EventView(line) } catch { return error.problem }
        return nil
    }

    private static func journal(_ data: DataDirectory, _ anchors: [Anchor]) throws -> Verifier.Report {
        let verifier = Verifier(data.journal)
        guard try data.fileSystem.metadata(data.stateFile) != nil else {
            return try verifier.run(anchors: anchors, judging: problem)
        }
        let bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        let state: ManagerState
        do throws(SnapshotProblem) { state = try StateDecoder.state(bytes, ofOlderFolds: true) } catch {
            var report = try verifier.run(anchors: anchors, judging: problem)
            switch error {
            case .noJournalMember, .otherFold: break
            case .checksum, .malformed:
                report.damage.append(
                    snapshotDamage(
                        error.description, .zero,
                        advice:
                            "It is no part of the journal: a start takes the newest good backup and the journal in its "
                            + "place, and writes it anew"))
            }
            return report
        }
        var report = try verifier.run(wanted: [state.position], anchors: anchors, judging: problem)
        guard report.damage.allSatisfy({ $0.kind == .anchor }), state.position > .zero else { return report }
        if state.position > report.last {
            report.damage.append(beyondEnd("../manager_state.json", state.position, report.last))
        } else if let crc = report.crcs[state.position] {
            if crc != state.crc {
                report.damage.append(snapshotDamage("its last event is not the journal's", state.position))
            }
        } else if try !Baseline.isOf(state, data.journal) {
            report.damage.append(snapshotDamage("the journal has no such event", state.position))
        }
        return report
    }

    private static func baselines(_ data: DataDirectory) throws -> [JournalDamage] {
        try data.journal.baselines().compactMap { position in
            let path = data.journal.baselinePath(position)
            var bytes: [UInt8] = []
            var problem: String?
            do throws(JournalError) { try GzipFile.read(path, on: data.fileSystem) { bytes += $0 } } catch {
                guard case .damage(let damage) = error else { throw error }
                problem = damage.detail
            }
            problem = problem ?? StateDecoder.checksumProblem(bytes)?.description
            return problem.map {
                JournalDamage(
                    kind: .bitRot, file: "../journal/baseline-\(position).json.gz", position: position, detail: $0)
            }
        }
    }

    /// Backups and baselines, as a start looks at them: before the journal they tell of what it lacks.
    private static func copiesBeyondEnd(_ data: DataDirectory, _ report: Verifier.Report) -> [JournalDamage] {
        guard report.damage.isEmpty, let beyond = StateCopies(data: data, warn: { _ in }).beyond(report.last) else {
            return []
        }
        let name = String(beyond.path.dropFirst(data.path.count + 1))
        return [beyondEnd("../" + name, beyond.position, report.last)]
    }

    private static func snapshotDamage(
        _ detail: String, _ position: LogPosition, advice: String? = nil
    ) -> JournalDamage {
        JournalDamage(
            kind: .bitRot, file: "../manager_state.json", position: position, detail: detail, advice: advice)
    }

    private static func beyondEnd(_ file: String, _ position: LogPosition, _ last: LogPosition) -> JournalDamage {
        JournalDamage(
            kind: .missingSegment, file: file, position: position,
            detail: "it stands at seq \(position), the journal ends at seq \(last)")
    }

    private var verdict: String { isDamaged ? "damaged" : isGood ? "ok" : "not readable" }

    /// For people.
    var text: String {
        var text = ""
        for damage in report.damage + report.gaps { text += "\(damage)\n" }
        for event in report.unfoldable { text += "seq \(event.position): \(event.problem)\n" }
        for state in states { text += state.text }
        if comparesStates, states.isEmpty { text += "no saved state was compared\n" }
        text +=
            "\(verdict): \(report.events) events in \(report.segments) segments, last seq \(report.last)\n"
        if !isDamaged {
            for anchor in report.anchors {
                let but = report.gaps.contains { $0.position <= anchor.position } ? ", but for the known gaps" : ""
                text += "anchor \(anchor) holds: nothing up to seq \(anchor.position) was changed\(but)\n"
            }
        }
        if let head = report.headSHA256 {
            text += "head hash: \(head)@\(report.last)\n"
            if !isDamaged {
                text +=
                    "keep it elsewhere; later this proves that nothing up to here was changed: "
                    + "manager verify --anchor \(head)@\(report.last)\n"
            }
        }
        if let tail = report.tail {
            text +=
                "an unfinished write of \(tail.bytes) bytes at the end of journal/\(tail.file) (byte \(tail.byte)): the next start cuts it\n"
        }
        return text
    }

    /// The contract's object and a newline.
    var json: String {
        func quoted(_ text: String) -> String {
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return String(decoding: out, as: UTF8.self)
        }
        let damage = (report.damage + report.gaps).map { item in
            "{\"kind\":\(quoted(item.kind.rawValue)),\"file\":\(quoted(item.file)),\"line\":\(item.line.map(String.init) ?? "null"),"
                + "\"byte\":\(item.byte.map { String($0) } ?? "null"),\"seq\":\(item.position),\"detail\":\(quoted(item.detail))}"
        }
        let tail =
            report.tail.map { "{\"file\":\(quoted($0.file)),\"byte\":\($0.byte),\"bytes\":\($0.bytes)}" } ?? "null"
        var text =
            "{\"ok\":\(isGood),\"events\":\(report.events),\"segments\":\(report.segments),"
            + "\"last_seq\":\(report.last),\"head_sha256\":\(report.headSHA256.map(quoted) ?? "null"),\"tail\":\(tail),"
            + "\"damage\":[\(damage.joined(separator: ","))]"
        if !report.unfoldable.isEmpty {
            let events = report.unfoldable.map { "{\"seq\":\($0.position),\"problem\":\(quoted($0.problem))}" }
            text += ",\"unfoldable\":[\(events.joined(separator: ","))]"
        }
        if comparesStates { text += ",\"states\":[\(states.map { $0.json(quoted) }.joined(separator: ","))]" }
        return text + "}\n"
    }
}
