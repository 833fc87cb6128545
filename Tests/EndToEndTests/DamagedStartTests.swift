import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@Suite("A start over a damaged journal, with a good snapshot behind the damage", .serialized)
struct DamagedStartTests {
    private let scratch: TemporaryDirectory
    private var folder: String { scratch.path }
    private var journal: JournalDirectory { JournalDirectory(folder + "/journal", on: LocalFileSystem()) }

    /// Several sealed segments and an active one, left by kill -9; every task is complete.
    init() throws {
        scratch = try TemporaryDirectory()
        var commands: [HandWrittenJournal.Command] = []
        for number in 0..<40 {
            let spec = TaskSpec(
                id: "t\(number)", phase: "p", config: Array("{}".utf8), seed: Array("42".utf8), outputDirectories: ["r"]
            )
            commands.append(
                .init(secondsAgo: Double(900 - number), [.added(id: "t\(number)", spec: spec, counter: nil)]))
        }
        for number in 0..<40 {
            let id = "t\(number)"
            commands.append(
                .init(secondsAgo: Double(800 - 2 * number), [.assigned(.init(task: id, worker: "w", attempt: 1))]))
            commands.append(
                .init(secondsAgo: Double(799 - 2 * number), [.completed(.init(task: id, worker: "w", attempt: 1))]))
        }
        try HandWrittenJournal.write(commands, to: folder, segmentBytes: 3000)
        let manager = try RunningManager(folder)
        manager.kill()
        let store = LocalJournalStore(journal, segmentBytes: 3000)
        _ = try store.open(RecoveryHints())
        while try store.archive() {}
        store.close()
        try #require(try journal.segments().count > 4)
    }

    private func bytes(_ name: SegmentName) throws -> [UInt8] {
        try readWholeFile(journal.path(of: name), on: LocalFileSystem())
    }

    private func put(_ bytes: [UInt8], _ name: SegmentName) throws {
        try writeAll(bytes, to: try LocalFileSystem().open(journal.path(of: name), .replace), at: 0)
    }

    private func lines(_ name: SegmentName) throws -> [[UInt8]] {
        var all: [UInt8] = []
        try GzipFile.read(journal.path(of: name), on: LocalFileSystem()) { all += $0 }
        return all.split(separator: 10).map { Array($0) }
    }

    private func putLines(_ lines: [[UInt8]], _ name: SegmentName) throws {
        try put(plainGzip(Array(lines.joined(separator: [10])) + [10]), name)
    }

    private func remove(_ name: SegmentName) throws { try LocalFileSystem().remove(journal.path(of: name)) }

    /// A start that ends by itself where it is taken: every task is complete.
    private func serve() throws -> VerbRun {
        try VerbRun([
            "serve", "--data-dir", folder, "--listen", "127.0.0.1:0", "--worker-listen", "127.0.0.1:0",
            "--exit-when-done",
        ])
    }

    private func verify() throws -> (status: Int32, damage: [[String: Any]]) {
        let run = try VerbRun(["verify", "--json", "--data-dir", folder])
        return (run.status, try run.object()["damage"] as? [[String: Any]] ?? [])
    }

    @Test("what is whole is taken, and verify is content")
    func whole() throws {
        #expect(try verify().status == 0)
        let run = try serve()
        #expect(run.status == 0, "\(run.errors)")
    }

    @Test("bit rot in the active segment is named with its line; the advice is repair, and repair mends it")
    func bitRot() throws {
        let name = try #require(try journal.segments().last)
        var flipped = try bytes(name)
        let first = try #require(flipped.firstIndex(of: 10))
        flipped[first + 60] ^= 1
        try put(flipped, name)
        let run = try serve()
        #expect(run.status == 2)
        #expect(run.errors.contains("bit rot") && run.errors.contains("line 2, byte \(first + 1)"), "\(run.errors)")
        #expect(run.errors.contains("manager repair") && !run.errors.contains("away"), "\(run.errors)")
        #expect(try verify().damage.first?["line"] as? Int == 2)
        #expect(try VerbRun(["repair", "--data-dir", folder]).status == 0)
        #expect(try verify().status == 0)
        #expect(try serve().status == 0)
    }

    /// What is done to the sealed segments.
    enum Harm: String, CaseIterable, CustomTestStringConvertible {
        case allRemoved, firstRemoved, middleRemoved, emptied, namesSwapped, headerRemoved, junkBehind, cutShort
        case emptyNext, strayNext

        var testDescription: String { rawValue }
    }

    private func harm(_ harm: Harm) throws {
        let names = try journal.segments()
        switch harm {
        case .allRemoved: for name in names.dropLast() { try remove(name) }
        case .firstRemoved: try remove(names[0])
        case .middleRemoved: try remove(names[2])
        case .emptied: try put([], names[1])
        case .namesSwapped:
            let (a, b) = (try bytes(names[1]), try bytes(names[2]))
            try put(b, names[1])
            try put(a, names[2])
        case .headerRemoved: try putLines(Array(try lines(names[1]).dropFirst()), names[1])
        case .junkBehind: try put(try bytes(names[1]) + Array("junk".utf8), names[1])
        case .cutShort: try put(try bytes(names[1]).dropLast(30), names[1])
        case .emptyNext:
            var last = LogPosition.zero
            try LogReader(journal).forEach { line throws(JournalError) in
                last = line.position
                return true
            }
            try put([], SegmentName(first: last.next))
        case .strayNext: try put(Array("x".utf8), SegmentName(first: LogPosition(500)))
        }
    }

    @Test(
        "files that are missing, empty, exchanged, cut or strange: refused, changed in nothing, and mended by repair",
        arguments: Harm.allCases)
    func refused(_ kind: Harm) throws {
        try harm(kind)
        let found = try verify()
        #expect(found.status == 2 && !found.damage.isEmpty)
        var before = try DataFiles.all(folder)
        let run = try serve()
        #expect(run.status == 2, "\(run.output)\(run.errors)")
        #expect(run.errors.contains("journal/0000"), "\(run.errors)")
        var after = try DataFiles.all(folder)
        (before["journal/lock"], after["journal/lock"]) = (nil, nil)
        #expect(after == before, "nothing is changed")
        let repaired = try VerbRun(["repair", "--data-dir", folder])
        #expect(repaired.status == 0, "\(repaired.output)\(repaired.errors)")
        let again = try verify()
        #expect(again.status == 0, "\(again.damage)")
        #expect(try VerbRun(["repair", "--data-dir", folder]).output.contains("nothing to repair"))
        #expect(try serve().status == 0)
    }

    @Test("what only reading all of it can show is told while it runs", arguments: [true, false])
    func background(removes: Bool) throws {
        let name = try journal.segments()[1]
        var all = try lines(name)
        if removes {
            all.remove(at: 3)
        } else {
            let line = String(decoding: all[3], as: UTF8.self)
            let start = try #require(line.range(of: ",\"crc\":", options: .backwards)).lowerBound
            all[3] = Array(line[..<start].replacing("\"task\":\"t", with: "\"task\":\"u").utf8)
            let crc = hexDigits(of: crc32c(all[3]))
            all[3] += Array(",\"crc\":\"".utf8) + crc + Array("\"}".utf8)
        }
        try putLines(all, name)
        #expect(try verify().status == 2)
        let manager = try RunningManager(folder)
        func metric(_ metric: String) throws -> String? {
            try HTTPCaller.raw(manager.http, "GET", "/metrics").body.split(separator: "\n")
                .first { $0.hasPrefix(metric + " ") }.map { String($0.dropFirst(metric.count + 1)) }
        }
        #expect(try eventuallyBlocking(within: .seconds(60)) { try metric("manager_journal_checked") == "1" })
        let count = try #require(try metric("manager_journal_damages").flatMap { Int($0) })
        #expect(count > 0)
        let status = try HTTPCaller.call(manager.http, "GET", "/status")
        let told = status["damage"] as? String ?? ""
        #expect(told.contains("damaged in \(count) place") && told.contains("manager verify"), "\(status.body)")
        #expect(manager.stop() == 0)
    }

    @Test("the check of a whole journal finds nothing")
    func backgroundWell() throws {
        let manager = try RunningManager(folder)
        #expect(
            try eventuallyBlocking(within: .seconds(60)) {
                try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains("\nmanager_journal_checked 1\n")
            })
        #expect(
            try HTTPCaller.raw(manager.http, "GET", "/metrics").body.contains("\nmanager_journal_damages 0\n"))
        #expect(try HTTPCaller.call(manager.http, "GET", "/status")["damage"] == nil)
        #expect(manager.stop() == 0)
    }

    @Test(
        "--degraded: the events before a damage are shown, then why there are no more, and the answer has no clean end")
    func degradedEvents() throws {
        let name = try #require(try journal.segments().last)
        var flipped = try bytes(name)
        let first = try #require(flipped.firstIndex(of: 10))
        let second = try #require(flipped[(first + 1)...].firstIndex(of: 10))
        flipped[second + 60] ^= 1
        try put(flipped, name)
        let manager = try RunningManager(folder, ["--degraded"])
        for from in [UInt64(1), name.first.rawValue] {
            let client = try LineClient(
                port: try #require(UInt16(manager.http.split(separator: ":").last ?? "")), fast: false)
            client.send("GET /api/v1/events?from=\(from) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            var shown: [UInt64] = []
            var error = ""
            var hasEnd = false
            while let line = client.line() {
                if line.hasPrefix("{\"seq\":") { shown.append(UInt64(line.dropFirst(7).prefix { $0.isNumber }) ?? 0) }
                if line.hasPrefix("{\"error\":") { error = line }
                if line == "0\r" { hasEnd = true }
            }
            #expect(shown == Array(from...name.first.rawValue), "from \(from): \(shown)")
            #expect(error.contains("damaged") && error.contains("seq \(name.first.rawValue + 1)"), "\(error)")
            #expect(!hasEnd, "the answer has no last chunk")
        }
        #expect(manager.stop() == 0)
    }
}
