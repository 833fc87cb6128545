import ArgumentParser
import EventLog
import Projections

/// `manager workers`: who works on what, and how fast.
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers", abstract: "List workers: what they hold, what they did, how long their tasks took.",
        discussion: """
            With a running manager, also how far their programs say they are. busy: the share of the time since the \
            worker's first event in which it held a task.

            Examples:
              manager workers --json | jq '.[] | select(.state == "busy")'
              manager workers --phase exp1
              manager workers --release gpu0
            """)

    @Flag(help: "One JSON array.") var json = false
    @Option(help: "Only what they did for this phase.") var phase: String?
    @Option(help: "Give this worker tasks again that had failed too often in a row (serve --quarantine-after).")
    var release: String?
    @OptionGroup var acting: ActingOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            if let release { return try await giveBack(release) }
            let state = try await momentOptions.state(acting.dataOptions).state
            let now = try momentOptions.moment().clock(state.time)
            let live = momentOptions.isNow ? await LiveProgress.read(acting.dataOptions.data) : LiveWorkers()
            if let phase, !state.phases.contains(phase) {
                throw VerbFailure("there is no phase \(phase)", status: 1)
            }
            if json { return Terminal.write(WorkersJSON.bytes(state, live: live, phase: phase) + [10]) }
            let workers = state.workerSummaries
            guard !workers.isEmpty else { return Terminal.write("no worker has come yet\n") }
            if let phase {
                let table = Self.table(workers, phase: phase)
                return Terminal.write(
                    table.rows.isEmpty ? "no worker has ended a task of \(phase) yet\n" : table.forStandardOutput)
            }
            var table = ListTable(
                [
                    .init(title: "worker"), .init(title: "state"), .init(title: "marks"),
                    .init(title: "task", canShrink: true), .init(title: "attempt", isRight: true),
                    .init(title: "progress", isRight: true),
                ] + Self.figureColumns + [.init(title: "last seen")])
            for worker in workers { table.add(Self.row(worker, live, now: now)) }
            Terminal.write(table.forStandardOutput)
        }
    }

    private static let figureColumns = ["completed", "failed", "lost", "busy", "mean", "p50", "p95"].map {
        ListTable.Column(title: $0, isRight: true)
    }

    /// What the workers did for one phase.
    private static func table(_ workers: [ManagerState.WorkerSummary], phase: String) -> ListTable {
        var table = ListTable([.init(title: "worker"), .init(title: "phase")] + figureColumns)
        for worker in workers {
            for entry in worker.phases where entry.name == phase {
                table.add([.init(worker.name), .init(phase)] + cells(entry.figures))
            }
        }
        return table
    }

    private static func cells(_ figures: ManagerState.RunFigures) -> [ListTable.Cell] {
        func duration(_ seconds: Double?) -> ListTable.Cell {
            .init(seconds.map { ProgressText.duration($0) } ?? "")
        }
        return [
            .init("\(figures.completed)"), .init("\(figures.failed)", colour: figures.failed > 0 ? 31 : nil),
            .init("\(figures.lost)", colour: figures.lost > 0 ? 33 : nil),
            .init(figures.busyShare.map { "\(Int(($0 * 100).rounded()))%" } ?? ""), duration(figures.meanSeconds),
            duration(figures.p50Seconds), duration(figures.p95Seconds),
        ]
    }

    private func giveBack(_ worker: String) async throws {
        let actor = try await acting.actor()
        let wasKept: Bool
        do { wasKept = try await actor.releaseWorker(worker) } catch {
            try await actor.close()
            throw error
        }
        try await actor.close()
        Terminal.write("\(worker) \(wasKept ? "gets tasks again" : "had no failures in a row: nothing to do")\n")
    }

    private static func row(
        _ worker: ManagerState.WorkerSummary, _ live: LiveWorkers, now: LogTime
    ) -> [ListTable.Cell] {
        let isBusy = !worker.holding.isEmpty
        let last = worker.holding.last
        let progress = last.flatMap { live.progress[AttemptReference(task: $0.task, attempt: $0.attempt)] }
        let held = last.map { $0.task + (worker.holding.count > 1 ? " (+\(worker.holding.count - 1))" : "") } ?? ""
        return [
            .init(worker.name), .init(isBusy ? "busy" : "idle", colour: isBusy ? 36 : 2),
            .init(worker.marks(quarantined: live.quarantined).joined(separator: " "), colour: 33), .init(held),
            .init(last.map { "\($0.attempt)" } ?? ""),
            .init(progress.map { "\(Int(($0 * 100).rounded(.down)))%" } ?? ""),
        ] + cells(worker.all) + [
            .init("\(ProgressText.duration(max(0, now.seconds(since: worker.lastEvent)))) ago")
        ]
    }
}
