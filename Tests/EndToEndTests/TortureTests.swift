import EventLog
import Foundation
import Testing

/// Workers, their programs and the manager are killed at random; at the end nothing is lost, nothing is done twice and
/// nothing is left. `make torture` goes on for five minutes; TORTURE_SECONDS and TORTURE_SEED say otherwise.
@Suite("Killed at random", .serialized) struct TortureTests {
    private static let variables = ProcessInfo.processInfo.environment
    private static let seconds = variables["TORTURE_SECONDS"].flatMap(Double.init) ?? 30
    private static let seed = variables["TORTURE_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0...999_999)

    @Test("2,000 tasks on 16 slots: each complete exactly once, one row a file, no process and no lock left")
    func torture() throws {
        print("torture: TORTURE_SEED=\(Self.seed) TORTURE_SECONDS=\(Self.seconds)")
        let bench = try TortureBench(seed: Self.seed, seconds: Self.seconds, tasks: 2000)
        try bench.start()
        while bench.isTime { try bench.strike() }
        try bench.settle()
        print("torture: \(bench.strikes)")
        let comment = Comment(rawValue: "TORTURE_SEED=\(Self.seed)")

        let completions = try bench.events("completed").compactMap { $0["task"] as? String }
        #expect(completions.count == bench.taskCount, comment)
        #expect(Set(completions).count == bench.taskCount, comment)
        #expect(try bench.events("requeued").allSatisfy { $0["reason"] as? String != "operator" }, comment)
        for file in ["final_results.csv", "results_p/final_results.csv"] {
            let rows = try bench.rows(file)
            #expect(rows.count == bench.taskCount, comment)
            #expect(Set(rows).count == bench.taskCount, comment)
        }
        let runs = try bench.runs()
        #expect(Set(runs).count == runs.count, "an attempt ran twice; TORTURE_SEED=\(Self.seed)")
        #expect(try bench.processesLeft().isEmpty, comment)
        #expect(try bench.filesLeft() == [], comment)
        #expect(try bench.locksHeld().isEmpty, comment)
        #expect(try RunningManager.verb("verify", "--data-dir", bench.data).status == 0, comment)
    }
}
