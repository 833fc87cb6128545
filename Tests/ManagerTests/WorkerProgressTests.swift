import Synchronization
import Testing

@testable import manager

@Suite struct WorkerProgressTests {
    private final class Paper: Sendable {
        private let lines = Mutex<[String]>([])
        var written: [String] { lines.withLock { $0 } }
        func write(_ text: String) { lines.withLock { $0.append(text) } }
    }

    private let paper = Paper()

    private func progress(terminal: Bool, width: Int = 100) -> RunProgress {
        RunProgress(
            screen: { ProgressScreen(isTerminal: terminal, width: width, color: false) },
            write: { [paper] in paper.write($0) })
    }

    private func counts(_ done: Int, of total: Int = 240, failed: Int = 0) -> RunCounts {
        RunCounts(total: total, complete: done - failed, failed: failed, running: 2)
    }

    @Test func `the bar shows complete, share, running, failures, rate and what remains`() {
        #expect(
            ProgressText.bar(counts(48, failed: 1), perSecond: 3.2, width: 100, color: false)
                == "[######!...............................]  47/240  19.6 %  2 running  1 failed  3.2/s  ETA 1m 00s")
        #expect(
            ProgressText.bar(counts(240), perSecond: 3.2, width: 80, color: false)
                == "[######################################]  240/240  100.0 %  2 running")
    }

    @Test(arguments: [1, 5, 12, 20, 40, 60, 80, 200]) func `the bar never fills the line`(width: Int) {
        let bar = ProgressText.bar(counts(48, failed: 1), perSecond: 3.2, width: width, color: false)
        #expect(bar.count <= max(width - 1, 1))
    }

    @Test func `an empty sweep has a bar too`() {
        #expect(
            ProgressText.bar(RunCounts(), perSecond: nil, width: 80, color: false).hasSuffix("  0/0  0.0 %  0 running"))
    }

    @Test func `colours take no columns`() {
        let bar = ProgressText.bar(counts(48, failed: 1), perSecond: nil, width: 80, color: true)
        #expect(bar.contains("\u{1B}[32m######\u{1B}[31m!\u{1B}[0m"))
    }

    @Test func `a terminal's line is redrawn at most ten times a second, and closed at the end`() {
        let progress = progress(terminal: true)
        for step in 0..<1000 { progress.update(counts(step / 5), atSeconds: Double(step) / 500) }
        #expect((18...21).contains(paper.written.count))
        #expect(paper.written.allSatisfy { $0.hasPrefix("\r[") && $0.hasSuffix("\u{1B}[K") })
        progress.finish(counts(240), atSeconds: 2)
        #expect(paper.written.suffix(2).last == "\n")
        progress.update(counts(240), atSeconds: 9)
        #expect(paper.written.last == "\n")
    }

    @Test func `elsewhere a plain line comes each five seconds or five per cent`() {
        let progress = progress(terminal: false)
        progress.update(counts(0), atSeconds: 0)
        progress.update(counts(1), atSeconds: 4.9)
        #expect(paper.written == ["0/240 (0.0%), 2 running\n"])
        progress.update(counts(2), atSeconds: 5)
        progress.update(counts(11), atSeconds: 5.5)
        progress.update(counts(12), atSeconds: 5.9)
        #expect(paper.written.count == 2)
        progress.update(counts(13), atSeconds: 6)
        #expect(paper.written.count == 3)
        progress.finish(counts(240, failed: 3), atSeconds: 30)
        #expect(paper.written.last == "237/240 (98.8%), 2 running, 3 failed\n")
    }

    @Test func `a note stands above the bar`() {
        let progress = progress(terminal: true, width: 40)
        progress.update(counts(1), atSeconds: 0)
        progress.note("a task failed")
        progress.update(counts(1), atSeconds: 0.01)
        #expect(paper.written.count == 3)
        #expect(paper.written[1] == "\r\u{1B}[Ka task failed\n")
    }

    @Test func `the rate is that of the last minute`() throws {
        var rate = RunRate()
        #expect(rate.perSecond(atSeconds: 0) == nil)
        for second in 0...600 {
            rate.note(done: second < 300 ? second * 10 : 3000 + (second - 300), atSeconds: Double(second))
        }
        let value = try #require(rate.perSecond(atSeconds: 600))
        #expect(abs(value - 1) < 0.05)
    }

    @Test func `durations, rates and numbers read well`() {
        #expect(
            [0, 0.44, 9.94, 9.96, 59.4, 59.6, 185, 3599.6, 7620, 273600].map(ProgressText.duration)
                == ["0.0s", "0.4s", "9.9s", "10s", "59s", "1m 00s", "3m 05s", "1h 00m", "2h 07m", "3d 04h"])
        #expect([120, 3.21, 0.5, 0.001].map(ProgressText.rate) == ["120/s", "3.2/s", "30/min", "3.6/h"])
        #expect(ProgressText.fixed(-0.00001, decimals: 2) == "0.00")
        #expect(ProgressText.fixed(-1.005, decimals: 1) == "-1.0")
        #expect(ProgressText.fixed(2.5, decimals: 0) == "3")
        #expect(ProgressText.duration(.infinity) == "unknown")
    }
}

@Suite struct WorkerSummaryTests {
    private func rows() -> [ResultMeans.Row] {
        var rows: [ResultMeans.Row] = []
        for seed in [1, 2] {
            for width in [4, 16] {
                for (ratio, accuracy) in [("0.0", 0.95), ("0.1", 0.9), ("0.5", 0.6)] {
                    rows.append(
                        .init(
                            config: Array(
                                #"{"seed":\#(seed),"width":\#(width),"poison_ratio":\#(ratio),"kind":"flip"}"#.utf8),
                            result: Array(#"{"test_loss":0.3,"test_accuracy":\#(accuracy + Double(seed) * 0.01)}"#.utf8)
                        ))
                }
            }
        }
        return rows
    }

    @Test func `the key that explains the result is found, and the result that matters`() throws {
        let means = try #require(ResultMeans(rows: rows()))
        #expect(means.metric == "test_accuracy" && means.key == "poison_ratio")
        #expect(means.groups.map(\.value) == ["0.0", "0.1", "0.5"])
        #expect(means.groups.map(\.count) == [4, 4, 4])
        #expect(abs(means.groups[2].mean - 0.615) < 1e-9)
    }

    @Test func `key and result can be named`() throws {
        let means = try #require(ResultMeans(rows: rows(), metric: "test_loss", by: "width"))
        #expect(means.groups.map(\.value) == ["4", "16"])
        #expect(means.groups.allSatisfy { $0.least == 0.3 && $0.greatest == 0.3 })
    }

    @Test func `without numbers, or without a key that varies, there is no table`() {
        #expect(ResultMeans(rows: []) == nil)
        #expect(ResultMeans(rows: Array(rows().prefix(1))) == nil)
        #expect(ResultMeans(rows: [.init(config: Array(#"{"a":1}"#.utf8), result: Array(#"{"b":"x"}"#.utf8))]) == nil)
        #expect(ResultMeans(rows: [.init(config: [], result: Array("[]".utf8))]) == nil)
    }

    @Test(
        arguments: [
            (nil, "nope", "no config has a key 'nope': there are kind, poison_ratio, seed, width"),
            ("nope", nil, "no result has a number 'nope': there are test_accuracy, test_loss"),
            (nil, "kind", "the key 'kind' has one value only: there is nothing to compare"),
        ] as [(String?, String?, String)]) func `why there is no table is said`(
            metric: String?, key: String?, says: String
        )
    {
        #expect(ResultMeans(rows: rows(), metric: metric, by: key) == nil)
        #expect(ResultMeans.problem(with: rows(), metric: metric, by: key) == says)
        #expect(ResultMeans.problem(with: [], metric: metric, by: key) == "no task has a result yet")
    }

    @Test func `the summary reads as it should`() throws {
        let summary = RunSummary(
            counts: .init(total: 240, complete: 238, failed: 2), retries: 8, ended: 240, wallSeconds: 95,
            workers: [
                .init(name: "local0", completed: 120, failed: 4, busySeconds: 93.1, runSeconds: 93.1),
                .init(name: "local1", completed: 118, failed: 4, busySeconds: 90, runSeconds: 90),
            ],
            failures: [.init(task: "exp_7_42", error: "exit status 3: Traceback\nValueError")],
            means: ResultMeans(rows: rows()),
            files: [("manager_state.json", "the state"), ("final_results.csv", "a row each completion")],
            exampleTask: "exp_7_42")
        #expect(
            summary.text() == """

                Tasks      240: 238 complete, 2 failed
                Retries    8
                Wall time  1m 35s (2.5/s)

                Worker  Done  Failed  Mean s  Busy %
                local0   120       4    0.75      98
                local1   118       4    0.74      95

                Not complete
                  exp_7_42: exit status 3: Traceback | ValueError

                Mean test_accuracy by poison_ratio
                poison_ratio  Tasks    Mean     Min     Max
                0.0               4  0.9650  0.9600  0.9700  ####################
                0.1               4  0.9150  0.9100  0.9200  #################
                0.5               4  0.6150  0.6100  0.6200  #

                Files
                  manager_state.json  the state
                  final_results.csv   a row each completion

                Try
                  manager status                  how many tasks are where
                  manager tail -n 20              the last events
                  manager replay --at -1m | jq .  the state a minute ago
                  manager history exp_7_42        all that happened to one task
                  manager verify                  checksums, order and chain of the journal

                """)
    }

    @Test func `failures beyond ten are counted, and long errors are shortened`() {
        let failures = (1...13).map { RunSummary.Failure(task: "t\($0)", error: String(repeating: "x", count: 500)) }
        let text = RunSummary(
            counts: .init(total: 13, failed: 13), retries: 0, ended: 0, wallSeconds: 0, workers: [], failures: failures
        ).text()
        #expect(text.contains("… and 3 more"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 120 })
    }
}
