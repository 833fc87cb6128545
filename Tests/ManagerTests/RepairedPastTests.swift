import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

/// Moments of a journal that a repair has left a gap in: what is kept for speed must not reach over it.
@Suite("Moments around a gap")
struct RepairedPastTests {
    private static let segmentBytes: Int64 = 12_000

    private let scratch: TemporaryDirectory
    private let data: DataDirectory
    private let reader: MomentReader

    init() throws {
        scratch = try TemporaryDirectory()
        data = DataDirectory(scratch.path + "/data")
        reader = MomentReader(data)
    }

    private func cover() throws {
        var writer = CheckpointWriter(data, segmentBytes: Self.segmentBytes)
        try writer.begin()
        let state = try reader.state(at: .now).state
        try writer.catchUp { state }
    }

    /// Breaks lines in the middle of a sealed segment in the middle of the journal, and repairs. Returns their tasks.
    private func damageAndRepair() throws -> (gap: GapLine, tasks: Set<String>) {
        let segments = try data.journal.segments()
        let name = segments[segments.count / 2]
        let path = data.journal.path(of: name)
        var bytes: [UInt8] = []
        if name.isCompressed {
            try GzipFile.read(path, on: LocalFileSystem()) { bytes += $0 }
        } else {
            bytes = try readWholeFile(path, on: LocalFileSystem())
        }
        var at = bytes.count / 2
        var tasks: Set<String> = []
        while tasks.count < 8 {
            at = try #require(bytes[at...].firstIndex(of: 10)) + 1
            let end = try #require(bytes[at...].firstIndex(of: 10))
            let line = try JSONSerialization.jsonObject(with: Data(bytes[at..<end])) as? [String: Any]
            if let task = line?["task"] as? String { tasks.insert(task) }
            bytes[at + 20] ^= 1
        }
        try Data(name.isCompressed ? gzipMember(bytes) : bytes).write(to: URL(fileURLWithPath: path))
        let run = RepairRun(data: data, warn: { _ in })
        let plan = try run.plan()
        _ = try run.apply(plan, try DirectoryLock(data.journalPath, on: LocalFileSystem()))
        return (try #require(plan.repair.gaps.first).line, tasks)
    }

    /// Everything that can be asked about some moments.
    private func answers(_ positions: [UInt64], _ tasks: [String]) throws -> [[UInt8]] {
        let now = LogTime(microseconds: 1_700_000_000_000_000)
        return try positions.flatMap { position in
            let moment = Moment.position(LogPosition(position))
            let state = try reader.state(at: moment).state
            #expect(
                try StateEncoder.bytes(reader.state(at: moment, fromBeginning: true).state)
                    == StateEncoder.bytes(state), "seq \(position)")
            #expect(
                try StatusJSON.bytes(reader.status(at: moment).summary, now: now)
                    == StatusJSON.bytes(StatusSummary(state), now: now), "seq \(position)")
            for task in tasks {
                #expect(try reader.taskJSON(task, at: moment) == state.taskJSON(task), "\(task) at \(position)")
                #expect(try reader.task(task, at: moment)?.state.taskJSON(task) == state.taskJSON(task))
            }
            return [StateEncoder.bytes(state)]
        }
    }

    @Test("with and without checkpoints each moment is the same", arguments: [31, 32] as [UInt64], [true, false])
    func sameAroundGap(seed: UInt64, keepsCheckpoints: Bool) throws {
        print("seed \(seed)")
        var journal = RandomJournal(seed: seed)
        try journal.write(events: 800, to: data.path, segmentBytes: Self.segmentBytes)
        if keepsCheckpoints { try cover() }
        let before = try reader.state(at: .now).state
        let (gap, lost) = try damageAndRepair()
        #expect(try data.journal.baselines().isEmpty == !keepsCheckpoints)
        try journal.write(
            events: 250, to: data.path, segmentBytes: Self.segmentBytes, notBefore: LogTime.now())
        let end = try reader.state(at: .now).state.position.rawValue
        var numbers = SeededGenerator(seed)
        let around = [gap.first.rawValue - 1, gap.first.rawValue, gap.last.rawValue, gap.last.rawValue + 1, end]
        let positions = around + (0..<6).map { _ in UInt64.random(in: 0...end, using: &numbers) }
        let tasks = lost.sorted() + journal.tasks.shuffled(using: &numbers).prefix(2)
        if FileManager.default.fileExists(atPath: data.checkpoints) {
            try FileManager.default.removeItem(atPath: data.checkpoints)
        }
        let plain = try answers(positions, tasks)
        try cover()
        #expect(try CheckpointFiles(data).states.contains { $0 > gap.last })
        #expect(try answers(positions, tasks) == plain)
        // A state behind the gap makes up for it: nothing of what was known is lost.
        if keepsCheckpoints {
            let after = try reader.state(at: .position(before.position)).state
            #expect(StateEncoder.stateHash(after) == StateEncoder.stateHash(before))
        }
    }
}
