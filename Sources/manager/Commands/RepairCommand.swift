import ArgumentParser
import EventLog
import Projections

/// `manager repair`: a damaged journal becomes readable again, and what is lost is named.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Move damaged bytes of the journal aside, mark what is missing, and hold the tasks left in doubt.",
        discussion: """
            Example: manager repair --data-dir runs --dry-run
            Nothing is deleted: what is taken out is kept in journal/quarantine/ with its SHA-256. Every good line stays as \
            it is. Where a good snapshot or backup stands behind the missing events, the state goes on from there; else \
            tasks whose next event does not fit are held (reason journal_gap). Copy the directory first.
            """)

    @OptionGroup var dataOptions: DataOptions
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Flag(help: "One JSON object.") var json = false

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.withJournal()
            guard try !data.journal.segments().isEmpty else {
                throw VerbFailure("there is no journal in \(data.path)", status: 1)
            }
            let lock = try HeldLock.take(data, for: "repair")
            let isDryRun = dryRun
            let (plan, done) = try await onThread(named: "repair") { Result { try Self.repair(data, lock, isDryRun) } }
                .get()
            let report = RepairReport(plan: plan, settled: done, isDryRun: dryRun)
            Terminal.write(Array((json ? report.json : report.text).utf8))
        }
    }

    private static func repair(
        _ data: DataDirectory, _ lock: DirectoryLock, _ isDryRun: Bool
    ) throws -> (RepairRun.Plan, GapFold.Unsettled) {
        let run = RepairRun(data: data, warn: { Terminal.complain("manager: \($0)") })
        let plan: RepairRun.Plan
        do {
            plan = try run.plan()
            if isDryRun || !RepairReport(plan: plan, settled: plan.unsettled, isDryRun: true).isNeeded {
                lock.release()
                return (plan, plan.unsettled)
            }
        } catch {
            lock.release()
            throw error
        }
        return (plan, try run.apply(plan, lock))
    }
}

/// What a repair says it will do or has done.
struct RepairReport {
    let plan: RepairRun.Plan
    /// Tasks that are held, and those that are lost.
    let settled: GapFold.Unsettled
    let isDryRun: Bool

    /// True where anything is to be written.
    var isNeeded: Bool {
        !plan.repair.changesNothing || !plan.repair.unnotedGaps.isEmpty || !plan.repair.unnotedSegments.isEmpty
            || !plan.unsettled.gaps.isEmpty
    }

    /// For people.
    var text: String {
        guard isNeeded else {
            let tail =
                plan.repair.tailBytes > 0
                ? "; \(plan.repair.tailBytes) bytes at the end may be an unfinished write, which the next start judges"
                : ""
            return "There is nothing to repair: the journal is whole up to seq \(plan.repair.last)\(tail)\n"
        }
        var text = ""
        for change in plan.repair.changes {
            text += "journal/\(change.file): \(change.words)\n"
        }
        for gap in plan.repair.gaps {
            text +=
                "gap: seq \(gap.line.first) to \(gap.line.last) (\(gap.detail)); \(gap.bytes) bytes kept in journal/\(gap.line.file)\n"
        }
        for stray in plan.repair.strays {
            text +=
                "aside: \(stray.bytes) bytes before seq \(stray.position) (\(stray.detail)), kept in journal/\(stray.keptAs)\n"
        }
        for segment in plan.repair.unnotedSegments {
            text += "segment \(segment.number) is not what its successor says: noted, and taken as it stands\n"
        }
        if let base = plan.base {
            text += "The state goes on from \(base.path) (seq \(base.state.position)), kept as a baseline\n"
        }
        for task in settled.doubtful { text += "held: \(task)\n" }
        for task in settled.lost { text += "lost: \(task) was added in a gap; submit it again\n" }
        return text
            + (isDryRun ? "Nothing was written (--dry-run)\n" : "Repaired; 'manager verify' lists the known gaps\n")
    }

    /// One JSON object and a newline.
    var json: String {
        func quoted(_ text: String) -> String {
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return String(decoding: out, as: UTF8.self)
        }
        func list(_ names: [String]) -> String { "[" + names.map(quoted).joined(separator: ",") + "]" }
        let gaps = plan.repair.gaps.map {
            "{\"first_seq\":\($0.line.first),\"last_seq\":\($0.line.last),\"bytes\":\($0.bytes),"
                + "\"sha256\":\(quoted($0.line.sha256)),\"file\":\(quoted($0.line.file)),\"segment\":\(quoted($0.file)),"
                + "\"detail\":\(quoted($0.detail))}"
        }
        let strays = plan.repair.strays.map {
            "{\"before_seq\":\($0.position),\"bytes\":\($0.bytes),\"sha256\":\(quoted($0.sha256)),"
                + "\"file\":\(quoted($0.keptAs)),\"segment\":\(quoted($0.file)),\"detail\":\(quoted($0.detail))}"
        }
        return "{\"dry_run\":\(isDryRun),\"needed\":\(isNeeded),\"changed\":\(list(plan.repair.changes.map(\.file))),"
            + "\"gaps\":[\(gaps.joined(separator: ","))],\"aside\":[\(strays.joined(separator: ","))],"
            + "\"state\":\(plan.base.map { quoted($0.path) } ?? "null"),\"held\":\(list(settled.doubtful)),"
            + "\"lost\":\(list(settled.lost))}\n"
    }
}
