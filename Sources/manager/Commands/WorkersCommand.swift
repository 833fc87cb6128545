import ArgumentParser
import EventLog
import Projections

/// `manager workers`: who works on what, and how fast.
struct WorkersCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers", abstract: "List workers: what they hold, what they did, how long their tasks took.",
        discussion: "Example: manager workers --json | jq '.[] | select(.state == \"busy\")'")

    @Flag(help: "One JSON array.") var json = false
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func run() async throws {
        try await Terminal.ending {
            let state = try await momentOptions.state(dataOptions).state
            let now = try momentOptions.moment().clock(state.time)
            if json { return Terminal.write(StatusJSON.workers(state) + [10]) }
            let workers = state.workerSummaries
            guard !workers.isEmpty else { return Terminal.write("no worker has come yet\n") }
            var table = ListTable([
                .init(title: "worker"), .init(title: "state"), .init(title: "task", canShrink: true),
                .init(title: "attempt", isRight: true), .init(title: "completed", isRight: true),
                .init(title: "failed", isRight: true), .init(title: "busy", isRight: true),
                .init(title: "mean", isRight: true), .init(title: "p50", isRight: true),
                .init(title: "p95", isRight: true), .init(title: "last seen"),
            ])
            let end = state.time ?? LogTime.now()
            for worker in workers { table.add(Self.row(worker, end: end, now: now)) }
            Terminal.write(table.forStandardOutput)
        }
    }

    private static func row(_ worker: ManagerState.WorkerSummary, end: LogTime, now: LogTime) -> [ListTable.Cell] {
        let isBusy = !worker.holding.isEmpty
        let last = worker.holding.last
        func duration(_ seconds: Double?) -> ListTable.Cell {
            .init(seconds.map { ProgressText.duration($0) } ?? "")
        }
        let known = end.seconds(since: worker.firstEvent)
        let share = known > 0 ? min(1, worker.busySeconds / known) : nil
        let held = last.map { $0.task + (worker.holding.count > 1 ? " (+\(worker.holding.count - 1))" : "") } ?? ""
        return [
            .init(worker.name), .init(isBusy ? "busy" : "idle", colour: isBusy ? 36 : 2), .init(held),
            .init(last.map { "\($0.attempt)" } ?? ""), .init("\(worker.completed)"),
            .init("\(worker.failed)", colour: worker.failed > 0 ? 31 : nil),
            .init(share.map { "\(Int(($0 * 100).rounded()))%" } ?? ""), duration(worker.meanSeconds),
            duration(worker.p50Seconds), duration(worker.p95Seconds),
            .init("\(ProgressText.duration(max(0, now.seconds(since: worker.lastEvent)))) ago"),
        ]
    }
}
