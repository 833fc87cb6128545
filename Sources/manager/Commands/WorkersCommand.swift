import ArgumentParser
import EventLog
import Projections

/// `manager workers`: who works on what, and how fast.
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers", abstract: "List workers: what they hold, what they did, how long their tasks took.",
        discussion: """
            With a running manager, also how far their programs say they are.

            Examples:
              manager workers --json | jq '.[] | select(.state == "busy")'
              manager workers --release gpu0
            """)

    @Flag(help: "One JSON array.") var json = false
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
            if json { return Terminal.write(StatusJSON.workers(state, live: live) + [10]) }
            let workers = state.workerSummaries
            guard !workers.isEmpty else { return Terminal.write("no worker has come yet\n") }
            var table = ListTable([
                .init(title: "worker"), .init(title: "state"), .init(title: "marks"),
                .init(title: "task", canShrink: true),
                .init(title: "attempt", isRight: true),
                .init(title: "progress", isRight: true), .init(title: "completed", isRight: true),
                .init(title: "failed", isRight: true), .init(title: "busy", isRight: true),
                .init(title: "mean", isRight: true), .init(title: "p50", isRight: true),
                .init(title: "p95", isRight: true), .init(title: "last seen"),
            ])
            let end = state.time ?? LogTime.now()
            for worker in workers { table.add(Self.row(worker, live, end: end, now: now)) }
            Terminal.write(table.forStandardOutput)
        }
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
        _ worker: ManagerState.WorkerSummary, _ live: LiveWorkers, end: LogTime, now: LogTime
    ) -> [ListTable.Cell] {
        let isBusy = !worker.holding.isEmpty
        let last = worker.holding.last
        func duration(_ seconds: Double?) -> ListTable.Cell {
            .init(seconds.map { ProgressText.duration($0) } ?? "")
        }
        let progress = last.flatMap { live.progress[AttemptReference(task: $0.task, attempt: $0.attempt)] }
        let known = end.seconds(since: worker.firstEvent)
        let share = known > 0 ? min(1, worker.busySeconds / known) : nil
        let held = last.map { $0.task + (worker.holding.count > 1 ? " (+\(worker.holding.count - 1))" : "") } ?? ""
        return [
            .init(worker.name), .init(isBusy ? "busy" : "idle", colour: isBusy ? 36 : 2),
            .init(worker.marks(quarantined: live.quarantined).joined(separator: " "), colour: 33), .init(held),
            .init(last.map { "\($0.attempt)" } ?? ""),
            .init(progress.map { "\(Int(($0 * 100).rounded(.down)))%" } ?? ""), .init("\(worker.completed)"),
            .init("\(worker.failed)", colour: worker.failed > 0 ? 31 : nil),
            .init(share.map { "\(Int(($0 * 100).rounded()))%" } ?? ""), duration(worker.meanSeconds),
            duration(worker.p50Seconds), duration(worker.p95Seconds),
            .init("\(ProgressText.duration(max(0, now.seconds(since: worker.lastEvent)))) ago"),
        ]
    }
}
