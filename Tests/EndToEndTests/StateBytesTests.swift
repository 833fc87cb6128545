import EventLog
import Foundation
import Projections
import TestSupport
import Testing

/// One seq, one state, whoever hands it out: the files that a manager left behind against what it and `replay` say.
@Suite("State bytes", .serialized)
struct StateBytesTests {
    private let scratch: TemporaryDirectory
    private let data: String

    init() throws {
        scratch = try TemporaryDirectory()
        data = scratch.path + "/data"
    }

    private static func inflated(_ path: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try GzipFile.read(path, on: LocalFileSystem()) { bytes += $0 }
        return bytes
    }

    private static func seq(_ state: [UInt8]) throws -> Int {
        let object = try #require(try JSONSerialization.jsonObject(with: Data(state)) as? [String: Any])
        let journal = try #require(object["journal"] as? [String: Any])
        return try #require(journal["seq"] as? Int)
    }

    /// Adds, claims, ends and operates at random; refusals are part of it.
    private static func work(_ manager: RunningManager, round: Int, _ numbers: inout SeededGenerator) throws {
        func post(_ path: String, _ body: String) throws -> HTTPCaller.Answer {
            try HTTPCaller.call(manager.http, "POST", path, body)
        }
        let added = (0..<5).map { #"{"task_id":"n\#(round)_\#($0)","phase":"p\#($0 % 2)","config":{"x":\#($0)}}"# }
        try #require(try post("/tasks", "[\(added.joined(separator: ","))]").status == 200)
        for _ in 0..<6 {
            let worker = "w\(Int.random(in: 0..<3, using: &numbers))"
            let claimed = try post("/claims", #"{"worker":"\#(worker)"}"#)["tasks"] as? [[String: Any]]
            guard let task = claimed?.first else { continue }
            let (id, attempt) = (try #require(task["task_id"] as? String), try #require(task["attempt"] as? Int))
            let verb = ["complete", "fail", "return", "cancel", "requeue"].randomElement(using: &numbers) ?? "fail"
            let body = #"{"worker":"\#(worker)","attempt":\#(attempt),"result":{"y":1},"error":"boom"}"#
            let isReport = ["complete", "fail", "return"].contains(verb)
            let name = try #require(id.addingPercentEncoding(withAllowedCharacters: .alphanumerics))
            let answer = try post("/tasks/\(name)/\(verb)", isReport ? body : "{}")
            #expect(answer.status == 200, "\(verb) \(id): \(answer.body)")
        }
    }

    @Test(
        "the state file and every backup hold the bytes that replay and HTTP give for their seq",
        arguments: [1, 2] as [UInt64])
    func files(seed: UInt64) throws {
        print("seed \(seed)")
        var journal = RandomJournal(seed: seed)
        try journal.write(events: 300, to: data, segmentBytes: 6000)
        let manager = try RunningManager(
            data, ["--segment-bytes", "6000", "--snapshot-every", "1h", "--backup-every", "1s"])
        var numbers = SeededGenerator(seed)
        let backups = data + "/backups"
        var states: [Int: [UInt8]] = [:]
        for round in 0..<4 {
            let before = try DataFiles.names(backups, prefix: "manager_state-").count
            try Self.work(manager, round: round, &numbers)
            try #require(try HTTPCaller.call(manager.http, "POST", "/snapshot", "{}").status == 200)
            let state = try readWholeFile(data + "/manager_state.json", on: LocalFileSystem())
            states[try Self.seq(state)] = state
            #expect(try eventuallyBlocking { try DataFiles.names(backups, prefix: "manager_state-").count > before })
        }
        for name in try DataFiles.names(backups, prefix: "manager_state-") where name.hasSuffix(".gz") {
            let state = try Self.inflated(backups + "/" + name)
            let seq = try Self.seq(state)
            #expect(name.contains(String(format: "-%020d-", seq)))
            if let other = states[seq] { #expect(state == other, "seq \(seq)") }
            states[seq] = state
        }
        #expect(states.count >= 4)
        for (seq, state) in states {
            let text = String(decoding: state, as: UTF8.self)
            for words in [["--full"], []] {
                let replayed = try VerbRun(["replay", "--data-dir", data, "--seq", "\(seq)"] + words)
                #expect(replayed.output == text, "replay \(words) --seq \(seq)")
            }
            #expect(try HTTPCaller.call(manager.http, "GET", "/state?seq=\(seq)").body == text, "GET of seq \(seq)")
        }
        #expect(manager.stop() == 0)
        // What the stop saved, and what the next start loads and saves again.
        let saved = try readWholeFile(data + "/manager_state.json", on: LocalFileSystem())
        #expect(try VerbRun(["replay", "--data-dir", data, "--full"]).output == String(decoding: saved, as: UTF8.self))
    }
}
