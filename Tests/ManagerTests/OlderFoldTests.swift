import EventLog
import Foundation
import Logging
import Projections
import TestSupport
import Testing

@testable import manager

/// States that earlier versions of the fold wrote: `Fixtures/journals/*/fold-N.json`. Their tasks are those of now; what
/// they count may be another.
@Suite("States of older folds")
struct OlderFoldTests {
    private let folder: ScratchFolder
    private let data: DataDirectory
    /// The last event of the fixture's first segment, at which its older state stands.
    private let middle = LogPosition(21)

    init() throws {
        folder = try ScratchFolder()
        data = DataDirectory(folder.path)
    }

    private static var fixtures: String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/journals").path
    }

    private func fixture(_ name: String) throws -> [UInt8] {
        try readWholeFile(Self.fixtures + "/" + name, on: LocalFileSystem())
    }

    private func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: folder.path + "/" + name))
    }

    /// The journal of the fixture; without its first segment where that was discarded.
    private func makeJournal(of name: String = "brought", isDiscarded: Bool = false) throws {
        try FileManager.default.copyItem(
            atPath: Self.fixtures + "/\(name)/journal", toPath: folder.path + "/journal")
        let first = folder.path + "/journal/00000000000000000001.jsonl.gz"
        if isDiscarded { try FileManager.default.removeItem(atPath: first) }
    }

    /// What a start makes of the directory: the state, and what it warned of.
    private func start() throws -> (state: ManagerState, loaded: Startup.Loaded, warnings: [String]) {
        let log = WarningLog()
        let results = ResultWriter(
            ResultFiles(dataDirectory: data.path, on: data.fileSystem), report: { log.logger.warning("\($0)") })
        defer { results.close() }
        let loaded = try Startup(data: data, segmentBytes: 1 << 20, warn: { log.logger.warning("\($0)") })
            .run(results: results)
        loaded.store.close()
        return (loaded.state, loaded, log.warnings)
    }

    private func workers(_ state: ManagerState) -> [ManagerState.RunFigures] { state.workerSummaries.map(\.all) }

    @Test(
        "are read where they are asked for, with the tasks of now",
        arguments: ["every_type/fold-3.json", "every_type/fold-4.json", "known_gap/fold-4.json", "brought/fold-4.json"])
    func readable(_ name: String) throws {
        let bytes = try fixture(name)
        let version = try #require(Int64(name.dropLast(5).suffix(1)))
        #expect(throws: SnapshotProblem.otherFold(version)) { _ = try StateDecoder.state(bytes) }
        let state = try StateDecoder.state(bytes, ofOlderFolds: true)
        let folder = Self.fixtures + "/" + name.split(separator: "/")[0]
        let now = try MomentReader(DataDirectory(folder)).state(at: .position(state.position)).state
        #expect(now.position == state.position && now.crc == state.crc && now.taskCount == state.taskCount)
        for number in 0..<now.taskCount {
            #expect(state.taskJSON(now.taskID(number)) == now.taskJSON(now.taskID(number)), "\(now.taskID(number))")
        }
    }

    @Test("a snapshot is not gone on from: the journal gives what it counts now")
    func snapshot() throws {
        try makeJournal()
        let bytes = try fixture("brought/fold-4.json")
        try write(bytes, to: "manager_state.json")
        let older = try StateDecoder.state(bytes, ofOlderFolds: true)
        #expect(workers(older).contains { $0.busySeconds > 1_000_000 }, "the fixture has the old counts")
        let (state, loaded, warnings) = try start()
        #expect(StateEncoder.bytes(state) == (try fixture("brought/state.json")))
        #expect(workers(state).allSatisfy { $0.busySeconds <= 4 })
        #expect(loaded.snapshotPosition == nil)
        #expect(warnings.isEmpty)
        #expect(try MomentReader(data).state(at: .now).base == nil)
        #expect(try LocalFileSystem().list(folder.path).sorted() == ["journal", "manager_state.json"])
    }

    @Test("a snapshot still tells that the journal lacks its end")
    func beyondEnd() throws {
        try makeJournal()
        try write(try fixture("brought/fold-4.json"), to: "manager_state.json")
        let segment = folder.path + "/journal/00000000000000000001.jsonl.gz"
        var lines: [UInt8] = []
        try GzipFile.read(segment, on: LocalFileSystem()) { lines += $0 }
        let kept = lines.split(separator: 10).prefix(15).joined(separator: [10])
        try FileManager.default.removeItem(atPath: folder.path + "/journal/00000000000000000022.jsonl")
        try FileManager.default.removeItem(atPath: segment)
        try write(Array(kept) + [10], to: "journal/00000000000000000001.jsonl")
        let failure = #expect(throws: StartFailure.self) { _ = try start() }
        #expect(failure?.exitStatus == 2 && failure?.description.contains("manager_state.json") == true)
    }

    @Test("a snapshot still tells which rows are written: none of before it is owed")
    func writtenRows() throws {
        try makeJournal(of: "every_type")
        try write(try fixture("every_type/fold-4.json"), to: "manager_state.json")
        let (state, _, warnings) = try start()
        #expect(StateEncoder.bytes(state) == (try fixture("every_type/state.json")))
        #expect(warnings.isEmpty && !folder.has("final_results.csv"))
        // Without it, all are.
        try FileManager.default.removeItem(atPath: data.stateFile)
        _ = try start()
        #expect(try folder.lines("final_results.csv").count == 3)
    }

    @Test("a baseline is gone on from as it stands, by starts, readers and verify alike: its events are gone")
    func baseline() throws {
        try makeJournal(isDiscarded: true)
        let bytes = try fixture("brought/fold-4.json")
        try write(gzipMember(bytes), to: "journal/baseline-\(middle).json.gz")
        let before = workers(try StateDecoder.state(bytes, ofOlderFolds: true))
        let (state, _, _) = try start()
        #expect(state.position == LogPosition(25))
        let now = workers(state)
        #expect(now.map(\.completed) == [3, 1] && before.map(\.completed) == [1, 1])
        #expect(now[0].busySeconds == before[0].busySeconds + 4)
        #expect(StateEncoder.bytes(try MomentReader(data).state(at: .now).state) == StateEncoder.bytes(state))
        #expect(StateEncoder.bytes(try Replay.state(at: .now, in: data.journal).state) == StateEncoder.bytes(state))
        try write(StateEncoder.bytes(state), to: "manager_state.json")
        #expect(try StateCheck(data).run().allSatisfy { $0.damage == nil })
        #expect(try start().loaded.snapshotPosition == LogPosition(25))
    }

    @Test("where a discarding ended before its first removal, everything begins with the baseline, too")
    func baselineBesideWholeJournal() throws {
        try makeJournal()
        try write(gzipMember(try fixture("brought/fold-4.json")), to: "journal/baseline-\(middle).json.gz")
        try write(try fixture("brought/fold-4.json"), to: "manager_state.json")
        let (state, _, _) = try start()
        try write(StateEncoder.bytes(state), to: "manager_state.json")
        let findings = try StateCheck(data).run()
        #expect(findings.allSatisfy { $0.damage == nil }, "\(findings)")
        #expect(findings.contains { if case .agrees = $0.verdict { $0.file == "manager_state.json" } else { false } })
    }

    @Test("a backup is compared with nothing and takes no snapshot's place, but where the events are gone")
    func backup() throws {
        try makeJournal()
        try FileManager.default.createDirectory(atPath: folder.path + "/backups", withIntermediateDirectories: true)
        let name = "backups/manager_state-00000000000000000021-20251219T230001Z.json.gz"
        try write(gzipMember(try fixture("brought/fold-4.json")), to: name)
        let findings = try StateCheck(data).run()
        #expect(findings.count == 1 && findings[0].damage == nil && findings[0].text.contains("not compared"))
        try write(Array("broken".utf8), to: "manager_state.json")
        #expect(StateEncoder.bytes(try start().state) == (try fixture("brought/state.json")))
        // A restore asks for tasks alone.
        let wanted = try RestoreSource.backup(String(name.dropFirst(8))).wanted(data)
        #expect(wanted.state.position == middle && wanted.backup != nil)

        try FileManager.default.removeItem(atPath: folder.path + "/journal/00000000000000000001.jsonl.gz")
        try write(Array("broken, too".utf8), to: "journal/baseline-\(middle).json.gz")
        let (state, _, warnings) = try start()
        #expect(state.position == LogPosition(25) && state.taskCount == 6, "\(warnings)")
    }
}
