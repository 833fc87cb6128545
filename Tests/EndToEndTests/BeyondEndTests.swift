import EventLog
import Foundation
import TestSupport
import Testing

/// Moments in the future, beyond the journal's end, inside gaps, and events of a newer program.
@Suite("Moments beyond the end", .serialized)
struct BeyondEndTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }
    private let words = "the moment lies beyond the journal's end; this is the newest state (seq "

    init() throws { scratch = try TemporaryDirectory() }

    @Test("the newest is answered, with a warning, by every verb and call")
    func warned() throws {
        let manager = try RunningManager(data)
        let task = #"{"task_id":"t","phase":"p","config":{}}"#
        #expect(try HTTPCaller.call(manager.http, "POST", "/tasks", task).status == 200)
        #expect(try HTTPCaller.call(manager.http, "POST", "/claims", #"{"worker":"w"}"#).status == 200)
        try FileManager.default.createDirectory(atPath: data + "/results_p/logs", withIntermediateDirectories: true)
        try "out\n".write(toFile: data + "/results_p/logs/t.1.log", atomically: true, encoding: .utf8)
        let end = try #require(try HTTPCaller.call(manager.http, "GET", "/status")["seq"] as? Int)
        let verbs = [
            ["history", "t"], ["history", "t", "--json"], ["why", "t"], ["show", "t"], ["show", "t", "--json"],
            ["tail"],
            ["tail", "--from", "1"], ["status"], ["tasks"], ["workers"], ["results"], ["replay"], ["logs", "t"],
            ["tail", "--url", manager.http], ["logs", "t", "--url", manager.http],
        ]
        let most = "\(UInt64.max)"
        for name in verbs {
            let plain = try VerbRun(name + ["--data-dir", data])
            #expect(!plain.errors.contains(words), "\(name): \(plain.errors)")
            let exact = try VerbRun(name + ["--data-dir", data, "--seq", "\(end)"])
            #expect(exact.status == 0 && !exact.errors.contains(words), "\(name): \(exact.errors)")
            for moment in [["--at", "2100-01-01"], ["--seq", "99999"], ["--seq", most]] {
                let run = try VerbRun(name + ["--data-dir", data] + moment)
                #expect(run.status == 0, "\(name) \(moment): \(run.errors)")
                #expect(run.errors.contains("\(words)\(end))"), "\(name) \(moment): \(run.errors)")
            }
        }
        for ends in [["1", "99999"], ["-1h", "2100-01-01"], ["0", most], ["99999", "100000"]] {
            let run = try VerbRun(["diff"] + ends + ["--data-dir", data])
            #expect(run.status == 0 && run.errors.contains("\(words)\(end))"), "\(ends): \(run.errors)")
        }
        #expect(try !VerbRun(["diff", "1", "now", "--data-dir", data]).errors.contains(words))
        let paths = [
            "status", "workers", "state", "tasks", "tasks/t", "tasks/t/history", "tasks/t/log", "results", "events",
        ]
        for path in paths {
            for query in ["?seq=99999", "?at=2100-01-01"] {
                let answer = try HTTPCaller.call(manager.http, "GET", "/\(path)\(query)")
                #expect(answer.status == 200, "\(path): \(answer.body.prefix(200))")
                #expect(answer.headers["manager-warning"] == "\(words)\(end))", "\(path)\(query): \(answer.headers)")
            }
            let exact = try HTTPCaller.call(manager.http, "GET", "/\(path)?seq=\(end)")
            #expect(exact.headers["manager-warning"] == nil, "\(path): \(exact.headers)")
        }
        #expect(manager.stop() == 0)
    }

    @Test("inside a known gap a moment is not beyond the end", arguments: ["status", "tasks", "replay", "history"])
    func gap(_ name: String) throws {
        let folder = DataFiles.fixtures + "/journals/known_gap"
        let task = name == "history" ? ["a"] : []
        for seq in ["4", "5"] {
            let run = try VerbRun([name] + task + ["--data-dir", folder, "--seq", seq])
            #expect(run.status == 0 && !run.errors.contains(words), "\(run.errors)")
        }
        let beyond = try VerbRun([name] + task + ["--data-dir", folder, "--seq", "99999"])
        #expect(beyond.status == 0 && beyond.errors.contains(words), "\(beyond.errors)")
    }

    @Test("an event of an unknown type is refused by every verb that reads, and named")
    func unknownType() throws {
        let folder = DataFiles.fixtures + "/journals/unknown_type"
        let verbs = [
            ["history", "a"], ["history", "a", "--json"], ["why", "a"], ["show", "a"], ["diff", "0", "now"], ["status"],
            ["tail"], ["results"], ["tasks"], ["workers"], ["replay"], ["history", "other"],
        ]
        for name in verbs {
            let run = try VerbRun(name + ["--data-dir", folder])
            #expect(run.status == 1, "\(name): \(run.output)")
            #expect(run.errors.contains("seq 2: an event of type 'teleported'"), "\(name): \(run.errors)")
        }
        // Events before it are told.
        #expect(try VerbRun(["history", "a", "--data-dir", folder, "--seq", "1"]).status == 0)
        for flags in [[], ["--state"]] {
            let verified = try VerbRun(["verify", "--data-dir", folder] + flags)
            #expect(verified.status == 1)
            #expect(verified.output.contains("not readable: 2 events") && verified.output.contains("head hash: "))
            #expect(verified.errors.contains("seq 2: an event of type 'teleported'"), "\(verified.errors)")
        }
        let object = try VerbRun(["verify", "--json", "--data-dir", folder]).object()
        #expect(object["ok"] as? Bool == false && (object["damage"] as? [Any])?.isEmpty == true)
        let unfoldable = try #require(object["unfoldable"] as? [[String: Any]])
        #expect(unfoldable.map { $0["seq"] as? Int } == [2])
    }
}
