import EventLog
import Foundation
import Projections
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite("Backups")
struct BackupTests {
    private let scratch: TemporaryDirectory
    private var data: DataDirectory { DataDirectory(scratch.path) }

    init() throws { scratch = try TemporaryDirectory() }

    private func backUp(keep: Int = 48) throws -> ManagerState {
        let state = try SampleData.state(scratch.path)
        let backups = Backups(data, thinning: BackupThinning(most: keep))
        try backups.write(state, paced: false)
        try backups.thin()
        return state
    }

    private func flip(_ path: String) throws {
        var bytes = try readWholeFile(path, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 1
        try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
    }

    @Test("a backup holds the state's bytes, one a position, and only the newest are kept")
    func rotation() throws {
        for round in 0..<5 {
            try SampleData.make(scratch.path, tasks: 2, from: round * 2)
            let state = try backUp(keep: 3)
            #expect(
                try Backups(data, thinning: BackupThinning(most: 3)).write(state) == nil, "one of this position stands")
            let newest = try #require(try BackupFile.all(data).last)
            #expect(newest.position == state.position)
            var bytes: [UInt8] = []
            try GzipFile.read(newest.path(data), on: LocalFileSystem()) { bytes += $0 }
            #expect(bytes == StateEncoder.bytes(state))
        }
        let files = try BackupFile.all(data)
        #expect(files.map(\.position) == [LogPosition(6), LogPosition(8), LogPosition(10)])
        #expect(files.map(\.name).allSatisfy { $0.utf8.count == 59 })
    }

    @Test("a backup that fails at any step leaves the ones that stand")
    func failing() throws {
        try SampleData.make(scratch.path, tasks: 2)
        _ = try backUp(keep: 1)
        try SampleData.make(scratch.path, tasks: 2, from: 2)
        let state = try SampleData.state(scratch.path)
        let counting = FailingFileSystem(failingCall: 0)
        for failing in 1...6 {
            let disk = FailingFileSystem(counting, failingCall: failing)
            #expect(throws: (any Error).self, "call \(failing)") {
                let backups = Backups(DataDirectory(scratch.path, on: disk), thinning: BackupThinning(most: 1))
                try backups.write(state, paced: false)
                try backups.thin()
            }
            let list = try BackupList(data)
            #expect(!list.entries.isEmpty)
            #expect(list.entries.allSatisfy { $0.problem == nil }, "call \(failing)")
            for entry in list.entries.dropFirst() { try LocalFileSystem().remove(entry.file.path(data)) }
        }
    }

    @Test("a damaged state file falls back to the newest good backup, then to the whole journal")
    func fallback() throws {
        try SampleData.make(scratch.path, tasks: 3, completed: 1)
        _ = try backUp()
        try SampleData.make(scratch.path, tasks: 3, completed: 1, from: 3)
        let second = try backUp()
        try SampleData.make(scratch.path, tasks: 1, from: 6)
        let wanted = StateEncoder.bytes(try SampleData.state(scratch.path))
        let heard = Mutex<[String]>([])
        func start() throws -> [String] {
            try flip(data.stateFile)
            heard.withLock { $0 = [] }
            let offline = try SampleData.open(data) { text in heard.withLock { $0.append(text) } }
            #expect(StateEncoder.bytes(offline.processor.snapshot) == wanted)
            try offline.close()
            return heard.withLock { $0 }
        }
        #expect(try start().contains { $0.contains("taken from") && $0.contains("seq \(second.position)") })
        #expect(try LocalFileSystem().list(scratch.path).contains { $0.hasPrefix("manager_state.json.rejected-") })
        let files = try BackupFile.all(data)
        try flip(files[1].path(data))
        let said = try start()
        #expect(said.contains { $0.contains("seq \(files[0].position)") })
        // It is the copy that is damaged, not the journal: nobody is sent to repair.
        #expect(said.contains { $0.hasPrefix("\(files[1].path(data)) is damaged and counts for nothing (") })
        #expect(!said.contains { $0.contains("repair") || $0.contains("the journal is damaged") }, "\(said)")
        try flip(files[0].path(data))
        #expect(try !start().contains { $0.contains("taken from") })
        let rows = try String(contentsOfFile: scratch.path + "/final_results.csv", encoding: .utf8)
        #expect(rows.split(separator: "\n").count == 3, "no row twice")
    }

    @Test("a good backup or baseline beyond the journal's end stops the start, a damaged one does not")
    func beyond() throws {
        try SampleData.make(scratch.path, tasks: 3)
        let early = try SampleData.files(scratch.path).filter { $0.key.hasPrefix("journal/") }
        try SampleData.make(scratch.path, tasks: 3, from: 3)
        _ = try backUp()
        let backup = try #require(try BackupFile.all(data).first)
        for name in try SampleData.files(scratch.path).keys
        where name.hasPrefix("journal/") || name == "manager_state.json" {
            try LocalFileSystem().remove(scratch.path + "/" + name)
        }
        for (name, bytes) in early {
            try writeAll(bytes, to: try LocalFileSystem().open(scratch.path + "/" + name, .replace), at: 0)
        }
        func refusal() -> StartFailure? {
            do {
                _ = try SampleData.state(scratch.path)
                return nil
            } catch { return error as? StartFailure }
        }
        let refused = try #require(refusal())
        #expect(refused.exitStatus == 2)
        for word in ["seq 6", "seq 3", backup.name, "--data-dir", "reset"] {
            #expect(refused.description.contains(word), "\(refused)")
        }
        let baseline = scratch.path + "/journal/baseline-6.json.gz"
        try LocalFileSystem().rename(backup.path(data), to: baseline)
        #expect(try #require(refusal()).description.contains("baseline-6.json.gz"))
        try flip(baseline)
        #expect(refusal() == nil)
    }

    @Test("where older history was discarded, the state begins with the baseline")
    func baseline() throws {
        try SampleData.make(scratch.path, tasks: 3)
        let offline = try SampleData.open(data)
        _ = try offline.processor.writer.compact()
        try offline.close()
        try SampleData.make(scratch.path, tasks: 2, from: 3)
        let whole = StateEncoder.bytes(try SampleData.state(scratch.path))
        let names = try data.journal.segments()
        #expect(names.count == 2)
        let last = names[1].first.previous
        let state = try Replay.state(at: .position(last), in: data.journal).state
        let path = "\(data.journalPath)/baseline-\(last).json.gz"
        let bytes = gzipMember(StateEncoder.bytes(state))
        try writeAll(bytes, to: try LocalFileSystem().open(path, .createNew), at: 0)
        // With all of the history there, a baseline is only kept.
        #expect(StateEncoder.bytes(try SampleData.state(scratch.path)) == whole)
        try LocalFileSystem().remove(data.journal.path(of: names[0]))
        try LocalFileSystem().remove(data.stateFile)
        #expect(StateEncoder.bytes(try SampleData.state(scratch.path)) == whole)
        try flip(path)
        #expect(throws: StartFailure.self) { _ = try SampleData.state(scratch.path) }
    }

    @Test("a name that is no backup's is passed over")
    func names() {
        #expect(BackupFile("manager_state-00000000000000000042-20261103T140500Z.json.gz")?.position == LogPosition(42))
        #expect(
            BackupFile("manager_state-00000000000000000042-20261103T140500Z.json.gz")?.time.description
                == "2026-11-03T14:05:00.000000Z")
        for name in ["manager_state-42-20261103T140500Z.json.gz", "manager_state-00000000000000000042.json.gz.tmp", ""]
        {
            #expect(BackupFile(name) == nil)
        }
    }

    @Test("one is due at its interval and after a segment was sealed, but not in a storm of seals")
    func schedule() {
        let start = ContinuousClock.now
        var schedule = BackupSchedule(every: .seconds(600), now: start, seals: 0)
        let asked: [(second: Int, seals: UInt64, isDue: Bool)] = [
            (1, 0, false), (2, 1, true), (3, 9, false), (7, 9, true), (599, 9, false), (600, 9, true), (601, 9, false),
        ]
        for (second, seals, isDue) in asked {
            let taken = schedule.take(now: start + .seconds(second), seals: seals)
            #expect(taken == isDue, "after \(second) s")
        }
    }
}
