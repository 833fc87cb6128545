import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

/// `compact --discard-before` against the real binary.
@Suite("History discarded and moved away", .serialized)
struct DiscardVerbTests {
    private let scratch: TemporaryDirectory
    private var data: String { scratch.path + "/data" }

    init() throws { scratch = try TemporaryDirectory() }

    private func verb(_ arguments: String...) throws -> VerbRun {
        try VerbRun([arguments[0], "--data-dir", data] + arguments.dropFirst())
    }

    private func work(_ manager: RunningManager, _ tasks: Range<Int>) throws {
        let client = try LineClient(port: manager.workers)
        for number in tasks {
            let task = #"{"task_id":"t\#(number)","phase":"p","config":{"x":\#(number)}}"#
            #expect(client.ask(#"{"type":"add","tasks":[\#(task)]}"#)?.contains("\"added\":1") == true)
            _ = client.ask(#"{"type":"claim","worker_id":"w"}"#)
            let done = #"{"task_id":"t\#(number)","attempt":1,"result":{"y":1}}"#
            #expect(client.ask(#"{"type":"complete","worker_id":"w","items":[\#(done)]}"#)?.contains("true") == true)
        }
    }

    private func seq() throws -> Int { try #require(try verb("status", "--json").object()["seq"] as? Int) }

    private func state() throws -> Any? { try verb("replay").object()["tasks"] }

    private func expectSameTasks(_ before: Any?, _ words: String = "") throws {
        let now = try state()
        #expect(
            NSDictionary(object: before as Any, forKey: "t" as NSString)
                .isEqual(to: ["t": now as Any]), "\(words)")
    }

    @Test("beside a running manager, readers and tail -f: moved to an archive that readers can be pointed at")
    func archived() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "3000"])
        try work(manager, 0..<40)
        let middle = try seq()
        let old = try verb("replay", "--seq", "\(middle / 2)").output
        let tail = try StartedProgram(
            [RunningManager.binary.path, "tail", "-f", "--json", "--from", "\(middle)", "--data-dir", data],
            outputPath: scratch.path + "/tail")
        let time = LogTime.now()
        try work(manager, 40..<50)
        let before = try state()
        let archive = scratch.path + "/archive"
        let run = try verb("compact", "--discard-before", "\(time)", "--archive", archive, "--json")
        #expect(run.status == 0, "\(run.errors)")
        let gone = try #require(try run.object()["discarded"] as? [String: Any])
        let last = try #require(gone["last_seq"] as? Int)
        #expect(last > middle / 2 && last <= middle && (gone["segments"] as? Int ?? 0) > 3)
        try expectSameTasks(before)
        #expect(try verb("verify").status == 0)

        for moment in [["--seq", "\(middle / 2)"], ["--at", "-1h"], ["--seq", "0"]] {
            for name in ["replay", "status", "tasks"] {
                let past = try VerbRun([name, "--data-dir", data] + moment)
                #expect(past.status == 1, "\(name) \(moment): \(past.output.prefix(100))\(past.errors)")
                #expect(
                    past.errors.contains("was discarded on 20") && past.errors.contains("(seq \(last))"),
                    "\(past.errors)")
            }
        }
        let gone410 = try HTTPCaller.call(manager.http, "GET", "/state?seq=\(middle / 2)")
        #expect(gone410.status == 410 && gone410.body.contains("was discarded"))
        #expect(try VerbRun(["replay", "--seq", "\(middle / 2)", "--data-dir", archive]).output == old)
        #expect(try VerbRun(["verify", "--data-dir", archive]).status == 0)
        #expect(try VerbRun(["history", "t1", "--json", "--data-dir", archive]).output.contains("\"completed\""))
        #expect(try verb("replay", "--seq", "\(last)").status == 0)
        let first = try #require(
            try verb("tail", "--from", "1", "-n", "100000", "--json").output.split(separator: "\n").first)
        #expect(first.hasPrefix("{\"seq\":\(last + 1),"))

        try work(manager, 50..<55)
        let end = try seq()
        #expect(try eventuallyBlocking { try tail.output().contains("{\"seq\":\(end),") })
        let seen = try tail.output().split(separator: "\n").compactMap { Int($0.dropFirst(7).prefix { $0.isNumber }) }
        #expect(seen == Array(middle...max(end, seen.last ?? 0)))

        let now = try state()
        #expect(manager.stop() == 0)
        try FileManager.default.removeItem(atPath: data + "/manager_state.json")
        try FileManager.default.removeItem(atPath: data + "/backups")
        let again = try RunningManager(data)
        try expectSameTasks(now)
        #expect(again.stop() == 0)
        #expect(try verb("verify").status == 0)
        #expect(try verb("restore", "--seq", "1").status == 1)
    }

    @Test("a merged file is parted where history begins; the journal tells what went")
    func merged() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "3000"])
        try work(manager, 0..<30)
        let time = LogTime.now()
        try work(manager, 30..<60)
        #expect(manager.stop() == 0)
        #expect(try verb("compact").status == 0)
        let (before, files) = (try state(), try DataFiles.names(data + "/journal", prefix: "0"))
        #expect(try verb("compact", "--archive", "x").status == 64)
        let run = try verb("compact", "--discard-before", "\(time)", "--json")
        #expect(run.status == 0, "\(run.errors)")
        let last = try #require((try run.object()["discarded"] as? [String: Any])?["last_seq"] as? Int)
        #expect(last > 20)
        #expect(try DataFiles.names(data + "/journal", prefix: "0").first != files.first)
        try expectSameTasks(before)
        #expect(try verb("verify").status == 0)
        let note = try verb("tail", "--type", "compacted", "-n", "10", "--json").output
        #expect(
            note.contains("\"last_seq\":\(last),") && note.contains("\"baseline_sha256\":\"")
                && note.contains("\"segments\":[{"))
        let none = try verb("compact", "--discard-before", "\(time)")
        #expect(none.status == 0 && none.output.contains("Nothing was discarded"), "\(none.output)\(none.errors)")
    }

    @Test("an archive that is the data directory itself, by whatever name, is refused, and nothing goes")
    func ownArchive() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "2000"])
        try work(manager, 0..<20)
        let link = scratch.path + "/link"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: data)
        let overHTTP = try HTTPCaller.call(
            manager.http, "POST", "/compact", #"{"discard_before":"now","archive":"\#(data)/."}"#)
        #expect(overHTTP.status == 409 && overHTTP.body.contains("is the journal itself"), "\(overHTTP.body)")
        #expect(manager.stop() == 0)
        let before = try IndependentFold(directory: data)
        for path in [data, data + "/.", link, link + "/../data/"] {
            let run = try verb("compact", "--discard-before", "now", "--archive", path)
            #expect(run.status == 1 && run.errors.contains("is the journal itself"), "\(path): \(run.errors)")
        }
        #expect(try verb("compact", "--discard-before", "now", "--archive", "").status == 64)
        let served = try verb("serve", "--keep", "1ms", "--when-exceeded", "archive=" + link)
        #expect(served.status == 64 && served.errors.contains("is the data directory itself"), "\(served.errors)")
        #expect(try IndependentFold(directory: data).last == before.last)
        #expect(try verb("verify").status == 0)
    }

    @Test("checkpoints of what was discarded go; those of what stays are not written anew")
    func checkpoints() throws {
        let checkpoints = data + "/checkpoints"
        func indexes() throws -> [Int] {
            try DataFiles.names(checkpoints, prefix: "").filter { $0.hasSuffix(".index") }
                .compactMap { Int($0.dropLast(6)) }.sorted()
        }
        func file(_ seq: Int) throws -> UInt64? {
            try LocalFileSystem().metadata(checkpoints + "/\(seq).index")?.identity.inode
        }
        let manager = try RunningManager(data, ["--segment-bytes", "2000"])
        var middle: LogTime?
        for part in 0..<6 {
            try work(manager, (part * 10)..<(part * 10 + 10))
            let count = part + 1
            #expect(try eventuallyBlocking { try indexes().count >= count })
            if part == 2 { middle = LogTime.now() }
        }
        let end = try seq()
        #expect(try eventuallyBlocking { try indexes().last.map { $0 > end - 30 } ?? false })
        #expect(manager.stop() == 0)
        let before = try indexes()
        let newest = try #require(before.last)
        let inode = try #require(try file(newest))
        #expect(try verb("compact", "--discard-before", "\(try #require(middle))").status == 0)
        let first = try #require(
            try DataFiles.names(data + "/journal", prefix: "0").compactMap { Int($0.prefix(20)) }.min())
        #expect(first > 1 && first < newest)
        let again = try RunningManager(data, ["--segment-bytes", "2000"])
        #expect(try eventuallyBlocking { try indexes().first.map { $0 >= first } ?? false })
        try work(again, 60..<80)
        #expect(try eventuallyBlocking { try indexes().last.map { $0 > newest } ?? false })
        #expect(try file(newest) == inode)
        #expect(try indexes().filter { $0 <= newest } == before.filter { $0 >= first })
        let story = try verb("history", "t50", "--json").output
        #expect(story.split(separator: "\n").count == 3, "\(story)")
        #expect(again.stop() == 0)
    }

    @Test("ended by kill -9 at any time, the journal is sound, and a second time finishes it")
    func killed() throws {
        let manager = try RunningManager(data, ["--segment-bytes", "2000"])
        try work(manager, 0..<60)
        #expect(manager.stop() == 0)
        let before = try state()
        let template = scratch.path + "/template"
        try FileManager.default.copyItem(atPath: data, toPath: template)
        let files = try DataFiles.names(data + "/journal", prefix: "0").count
        let waits: [@Sendable (String) throws -> Bool] = [
            { try !DataFiles.names($0 + "/journal", prefix: "baseline-").isEmpty },
            { try DataFiles.names($0 + "/journal", prefix: "0").count < files },
            { try DataFiles.names($0 + "/journal", prefix: "0").count < files - 4 },
            { try DataFiles.names($0 + "/journal", prefix: "0").count < files - 8 },
        ]
        for (number, isDue) in waits.enumerated() {
            try FileManager.default.removeItem(atPath: data)
            try FileManager.default.copyItem(atPath: template, toPath: data)
            let process = Process()
            process.executableURL = RunningManager.binary
            process.arguments = ["compact", "--discard-before", "now", "--data-dir", data]
            process.standardOutput = FileHandle.nullDevice
            try process.run()
            _ = try eventuallyBlocking { try isDue(data) || !process.isRunning }
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            try expectSameTasks(before, "kill \(number)")
            #expect(try verb("verify").status == 0, "kill \(number)")
            try FileManager.default.removeItem(atPath: data + "/manager_state.json")
            let again = try RunningManager(data)
            try expectSameTasks(before, "kill \(number), started")
            #expect(again.stop() == 0)
            #expect(try verb("compact", "--discard-before", "now").status == 0)
            #expect(try verb("verify").status == 0)
            try expectSameTasks(before, "kill \(number), again")
        }
    }
}
