import EventLog
import Projections
import TestSupport
import Testing

/// Numbers and times beyond all measure, against the real binary: refused with a sentence, never the end of the process.
@Suite("Extreme values", .serialized)
struct ExtremeValueTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    @Test("times and durations that no clock can show are wrong usage, on the command line and over HTTP")
    func times() throws {
        let manager = try RunningManager(data)
        for time in ["-99999999999999999d", "-106771991d", "2025-02-30", "2026-04-31T10:00:00Z", "2026-01-01T23:01:60"]
        {
            for path in ["/status?at=", "/events?at=", "/events?since=", "/state?at="] {
                let answer = try HTTPCaller.call(manager.http, "GET", path + time)
                #expect(answer.status == 400 && answer.body.contains("is no"), "\(path)\(time): \(answer.status)")
            }
            for words in [["status", "--at=" + time], ["tail", "--since=" + time], ["diff", time, "now"]] {
                let run = try VerbRun(words + ["--data-dir", data])
                #expect(run.status == 64, "\(words): \(run.status) \(run.errors)")
            }
        }
        #expect(try HTTPCaller.call(manager.http, "GET", "/status?at=-36000d").status == 200)
        #expect(manager.stop() == 0)
        let flags = ["--keep", "--stale-after", "--backup-every", "--csv-every", "--snapshot-every"]
        for flag in flags {
            let run = try VerbRun(["serve", flag, "99999999999999999d", "--data-dir", data])
            #expect(run.status == 64, "\(flag): \(run.status) \(run.errors)")
        }
        #expect(try VerbRun(["wait", "--timeout", "99999999999999999d", "--data-dir", data]).status == 64)
    }

    @Test("a duration or a memory that is impossible is refused; one in a journal is shown")
    func measures() throws {
        let manager = try RunningManager(data)
        let client = try LineClient(port: manager.workers)
        #expect(
            try HTTPCaller.call(manager.http, "POST", "/tasks", #"{"task_id":"t","phase":"p","config":{}}"#).status
                == 200)
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#).status == 200)
        for measure in [#""duration_s":1e300"#, #""duration_s":-1"#, #""max_rss_bytes":-5"#] {
            let body = #"{"worker":"w","attempt":1,"error":"e",\#(measure)}"#
            let answer = try HTTPCaller.call(manager.http, "POST", "/tasks/t/fail", body)
            #expect(answer.status == 400 && answer.body.contains("of task t is"), "\(measure): \(answer.body)")
            let item = #"{"task_id":"t","attempt":1,\#(measure)}"#
            let line = client.ask(#"{"type":"complete","worker_id":"w","items":[\#(item)]}"#)
            #expect(line?.contains("of task t is") == true, "\(measure): \(line ?? "")")
        }
        #expect(manager.stop() == 0)
        // A journal of another maker may hold anything that is a number.
        let other = scratch.path + "/other"
        var failure = Event.Failure(task: "t", worker: "w", attempt: 1, error: "e")
        failure.provenance.durationSeconds = 1e300
        failure.provenance.maxRSSBytes = -1
        let spec = TaskSpec(phase: "p", config: Array("{}".utf8), outputDirectories: ["r"])
        try HandWrittenJournal.write(
            [
                .init(secondsAgo: 9, [.added(id: "t", spec: spec, counter: nil)]),
                .init(secondsAgo: 8, [.assigned(Event.Assignment(task: "t", worker: "w", attempt: 1))]),
                .init(secondsAgo: 7, [.failed(failure)]),
            ], to: other)
        for words in [
            ["show", "t"], ["history", "t"], ["why", "t"], ["workers"], ["tail"], ["show", "t", "--json"],
        ] {
            let run = try VerbRun(words + ["--data-dir", other])
            #expect(run.status == 0, "\(words): \(run.status) \(run.errors)")
        }
    }
}
