import EventLog
import Foundation
import TestSupport
import Testing

/// Verbs that change a data directory, ended in the middle by `KillAtCall`: the directory is sound whenever that was, and
/// the same verb run again comes to where it would have come at once.
///
/// `make test` ends each verb at every third call, beginning at one that the seed chooses; KILL_AT_EVERY_CALL=1 at all,
/// before it and within it.
@Suite("Verbs ended by kill -9 at each call", .serialized)
struct KilledVerbTests {
    private static let seed = UInt64.random(in: 0..<1000)
    private let scratch: TemporaryDirectory
    /// What each trial begins with.
    private var template: String { scratch.path + "/template" }
    private var data: String { scratch.path + "/data" }
    /// Where an export goes, and what an archive of segments is.
    private var target: String { scratch.path + "/target" }

    init() throws { scratch = try TemporaryDirectory() }

    /// A verb with what it is to be tried on.
    struct Trial: CustomTestStringConvertible, Sendable {
        var name: String
        /// `DATA`, `TARGET`, `SCRATCH` and `SEQ` are replaced.
        var words: [String]
        /// True where a second run finds all done and may say so with exit status 1.
        var mayRefuseTwice = false
        /// Prepares the template.
        var prepare: @Sendable (String) throws -> Void = { _ in }

        var testDescription: String { name }
    }

    static let trials = [
        Trial(name: "export", words: ["export", "--seq", "SEQ", "TARGET"], mayRefuseTwice: true),
        Trial(name: "import of tasks", words: ["import", "SCRATCH/tasks.jsonl"]),
        Trial(name: "import of a directory", words: ["import", "SCRATCH/other"]),
        Trial(name: "reconcile", words: ["reconcile"], prepare: addForeignRows),
        Trial(
            name: "reconcile --undo", words: ["reconcile", "--undo", "UNDO"], mayRefuseTwice: true,
            prepare: { template in
                try addForeignRows(template)
                try #require(try VerbRun(["reconcile", "--data-dir", template]).status == 0)
            }),
        Trial(name: "restore", words: ["restore", "--seq", "SEQ"]),
        Trial(name: "compact", words: ["compact"]),
        Trial(name: "compact --discard-before", words: ["compact", "--discard-before", "now"]),
        Trial(name: "compact --archive", words: ["compact", "--discard-before", "now", "--archive", "TARGET"]),
        Trial(name: "reset", words: ["reset", "--yes"]),
        Trial(name: "snapshot", words: ["snapshot"]),
        Trial(name: "cancel", words: ["cancel", "--phase", "q"]),
        Trial(name: "submit of another directory", words: ["submit", "SCRATCH/extended.yaml"]),
        Trial(
            name: "submit of another directory, completions discarded", words: ["submit", "SCRATCH/extended.yaml"],
            prepare: { template in
                try #require(
                    try VerbRun(["compact", "--discard-before", "now", "--data-dir", template]).status == 0)
                let events = try VerbRun(["tail", "--from", "1", "-n", "1000", "--json", "--data-dir", template]).output
                try #require(!events.contains(#""type":"completed","task":"t1""#))
            }),
    ]

    /// Rows of another program for tasks that are not complete.
    private static func addForeignRows(_ template: String) throws {
        let path = template + "/results_p/final_results.csv"
        var text = String(decoding: try readWholeFile(path, on: LocalFileSystem()), as: UTF8.self)
        let columns = try #require(text.split(separator: "\n").first).split(separator: ",").map(String.init)
        for task in ["t7", "t8", "t9"] {
            text += columns.map { $0 == "task_id" ? task : $0 == "y" ? "5" : "" }.joined(separator: ",") + "\n"
        }
        try writeAll(Array(text.utf8), to: try LocalFileSystem().open(path, .replace), at: 0)
    }

    /// A directory with tasks of every status in several segments; the seq of its middle.
    private func makeTemplate(_ path: String, tasks: Range<Int>) throws -> Int {
        let manager = try RunningManager(path, ["--segment-bytes", "2500", "--csv-every", "1h"])
        let client = try LineClient(port: manager.workers)
        for number in tasks {
            let phase = number % 4 == 3 ? "q" : "p"
            let task = #"{"task_id":"t\#(number)","phase":"\#(phase)","config":{"x":\#(number)}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("\"added\":1") == true)
            guard number - tasks.lowerBound < 5 else { continue }
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let report = number == 3 ? "\"error\":\"boom\"" : "\"result\":{\"y\":1}"
            let item = #"{"task_id":"t\#(number)","attempt":1,\#(report)}"#
            let verb = number == 3 ? "fail" : "complete"
            _ = client.ask(#"{"type":"\#(verb)","worker_id":"w","items":[\#(item)]}"#)
        }
        let middle = try #require(try HTTPCaller.call(manager.http, "GET", "/status")["seq"] as? Int)
        for verb in ["cancel", "hold"] {
            let id = "t\(tasks.lowerBound + (verb == "cancel" ? 6 : 5))"
            try #require(try HTTPCaller.call(manager.http, "POST", "/tasks/\(id)/\(verb)", "{}").status == 200)
        }
        try #require(
            try HTTPCaller.call(manager.http, "POST", "/tasks/t\(tasks.lowerBound)/requeue", "{}").status == 200)
        #expect(manager.stop() == 0)
        return middle
    }

    /// The tasks with what the contract's table says of them.
    private func tasks(_ path: String) throws -> [String] {
        guard FileManager.default.fileExists(atPath: path) else { return ["nothing stands at the path"] }
        let lines = try VerbRun(["tasks", "--json", "--limit", "1000", "--data-dir", path]).output
        return try lines.split(separator: "\n").map { line in
            let task = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
            let words = ["task_id", "status", "attempt", "retry_count", "last_error"].map { "\(task[$0] ?? "")" }
            return words.joined(separator: " ")
        }
    }

    /// The rows of the directory by which a trial extends tasks.
    private func extendedRows() throws -> String {
        let path = data + "/more/final_results.csv"
        guard FileManager.default.fileExists(atPath: path) else { return "" }
        return String(decoding: try readWholeFile(path, on: LocalFileSystem()), as: UTF8.self)
    }

    private func begin() throws {
        for path in [data, target] where FileManager.default.fileExists(atPath: path) {
            try FileManager.default.removeItem(atPath: path)
        }
        for name in try DataFiles.names(scratch.path, prefix: "target") {
            try FileManager.default.removeItem(atPath: scratch.path + "/" + name)
        }
        try FileManager.default.copyItem(atPath: template, toPath: data)
    }

    private func expectSound(_ path: String, _ words: String) throws {
        guard FileManager.default.fileExists(atPath: path + "/journal") else { return }
        let verified = try VerbRun(["verify", "--data-dir", path])
        #expect(verified.status == 0, "\(words): \(verified.output)\(verified.errors)")
    }

    @Test("the directory is sound, and the verb run again ends where it would have ended", arguments: trials)
    func killed(_ trial: Trial) throws {
        let library = RunningManager.binary.deletingLastPathComponent().appendingPathComponent("libKillAtCall.so").path
        let seq = try makeTemplate(template, tasks: 0..<10)
        _ = try makeTemplate(scratch.path + "/other", tasks: 8..<16)
        let lines = (9..<14).map { #"{"task_id":"t\#($0)","phase":"q","config":{"x":\#($0)},"seed":1}"# }
        try writeAll(
            Array((lines.joined(separator: "\n") + "\n").utf8),
            to: try LocalFileSystem().open(scratch.path + "/tasks.jsonl", .replace), at: 0)
        try "defaults: {output_dir: more}\np:\n  combinations:\n    - x: [0, 1, 2]\n"
            .write(toFile: scratch.path + "/extended.yaml", atomically: true, encoding: .utf8)
        try trial.prepare(template)
        let undo = try VerbRun(["tail", "--type", "completed", "-n", "3", "--json", "--data-dir", template]).output
            .split(separator: "\n").first { $0.contains(#""via":"csv""#) }
            .map { String($0.dropFirst(7).prefix { $0.isNumber }) }
        let replaced = ["TARGET": target, "SCRATCH": scratch.path, "SEQ": "\(seq)", "UNDO": undo ?? "none"]
        let words =
            trial.words.map { replaced.reduce($0) { $0.replacing($1.key, with: $1.value) } } + ["--data-dir", data]
        func run(_ environment: [String: String]) throws -> VerbRun {
            try VerbRun(words, environment: environment.merging(["LD_PRELOAD": library]) { $1 })
        }

        try begin()
        let before = try tasks(data)
        let count = scratch.path + "/count"
        let whole = try run(["KILL_COUNT_TO": count])
        try #require(whole.status == 0, "\(whole.errors)")
        let calls = try #require(Int(try String(contentsOfFile: count, encoding: .utf8).dropLast()))
        try #require(calls > 5, "\(calls) calls that change files")
        let (after, exported) = (try tasks(data), try tasks(target))
        let rows = try extendedRows()
        if trial.name.hasPrefix("submit") { #expect(rows.split(separator: "\n").count == 3, "\(rows)") }

        let isEvery = ProcessInfo.processInfo.environment["KILL_AT_EVERY_CALL"] != nil
        print("\(trial.name): \(calls) calls, seed \(Self.seed)")
        for half in (isEvery ? 2 : 1 + Int(Self.seed % 3))...(2 * calls + 1)
        where half >= 2 && (isEvery || (half + Int(Self.seed)) % 7 == 0) {
            let at = half % 2 == 0 ? "\(half / 2)" : "\(half / 2).5"
            try begin()
            let cut = try run(["KILL_AT_CALL": at])
            let told = "\(trial.name) ended at call \(at) of \(calls)"
            // A call that depends on another thread's pace may not come: then all was done.
            #expect(cut.status == SIGKILL || cut.status == 0, "\(told): \(cut.status) \(cut.errors)")
            try expectSound(data, told)
            try expectSound(target, told)
            let between = try tasks(data)
            #expect(between.count >= min(before.count, after.count), "\(told): \(between)")
            let again = try run([:])
            #expect(again.status == 0 || (trial.mayRefuseTwice && again.status == 1), "\(told), again: \(again.errors)")
            try expectSound(data, told + ", again")
            try expectSound(target, told + ", again")
            #expect(try tasks(data) == after, "\(told)")
            #expect(try extendedRows() == rows, "\(told)")
            if trial.name == "export" { #expect(try tasks(target) == exported, "\(told)") }
            let left = try DataFiles.all(data).keys.filter { $0.hasSuffix(".tmp") }
            #expect(left.isEmpty, "\(told): \(left)")
        }
    }
}
