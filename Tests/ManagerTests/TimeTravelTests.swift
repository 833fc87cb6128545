import EventLog
import Foundation
import Projections
import TestSupport
import Testing

@testable import manager

/// Journals of random events, with everything that is kept for speed, looked at at random moments.
@Suite("Time travel")
struct TimeTravelTests {
    private static let segmentBytes: Int64 = 24_000

    private let scratch: TemporaryDirectory
    private let data: DataDirectory
    private let reader: MomentReader

    init() throws {
        scratch = try TemporaryDirectory()
        data = DataDirectory(scratch.path + "/data")
        reader = MomentReader(data)
    }

    /// Covers the journal in several rounds, as a manager does that runs beside it.
    private func cover() throws {
        var writer = CheckpointWriter(data, segmentBytes: Self.segmentBytes)
        try writer.begin()
        let state = try reader.state(at: .now, fromBeginning: true).state
        try writer.catchUp { state }
    }

    private func last() throws -> UInt64 { try reader.state(at: .now, fromBeginning: true).state.position.rawValue }

    /// Every way to a moment must give the bytes of a full replay.
    private func compare(_ position: UInt64, _ tasks: [String], _ numbers: inout SeededGenerator) throws {
        let moment = Moment.position(LogPosition(position))
        let whole = try reader.state(at: moment, fromBeginning: true)
        #expect(whole.foldedEvents == position)
        let kept = try reader.state(at: moment)
        #expect(StateEncoder.bytes(kept.state) == StateEncoder.bytes(whole.state), "seq \(position)")
        let now = LogTime(microseconds: 1_700_000_000_000_000)
        let status = StatusJSON.bytes(StatusSummary(whole.state), now: now)
        #expect(StatusJSON.bytes(try reader.status(at: moment).summary, now: now) == status, "seq \(position)")
        if let sparse = try reader.sparseStatus(upTo: LogPosition(position), always: true) {
            #expect(StatusJSON.bytes(sparse, now: now) == status, "seq \(position)")
            #expect(sparse.blocked == StatusSummary(whole.state).blocked, "seq \(position)")
        }
        for task in tasks.shuffled(using: &numbers).prefix(3) {
            #expect(try reader.taskJSON(task, at: moment) == whole.state.taskJSON(task), "\(task) at \(position)")
            #expect(try reader.task(task, at: moment)?.state.taskJSON(task) == whole.state.taskJSON(task))
        }
    }

    @Test("any way to a moment gives the same bytes, also inside a command", arguments: [1, 2] as [UInt64])
    func sameBytes(seed: UInt64) throws {
        print("seed \(seed)")
        var journal = RandomJournal(seed: seed)
        try journal.write(events: 3000, to: data.path, segmentBytes: Self.segmentBytes)
        try cover()
        let files = try CheckpointFiles(data)
        #expect(files.indexes.count > 5 && files.states.count > 1, "\(files)")
        // What is written later, by a manager that goes on.
        var numbers = SeededGenerator(seed &+ 100)
        let end = try last()
        for _ in 0..<25 {
            try compare(UInt64.random(in: 0...end, using: &numbers), journal.tasks, &numbers)
        }
        for position in [0, 1, end - 1, end] { try compare(position, journal.tasks, &numbers) }
    }

    @Test("members that the reading thread found are those that the fold finds itself, also of commands across chunks")
    func membersFoundAhead() throws {
        var journal = RandomJournal(seed: 3)
        try journal.write(events: 25_000, to: data.path, segmentBytes: 8 << 20)
        var states: [ManagerState] = []
        for isAhead in [false, true] {
            var state = ManagerState()
            var found = 0
            try LogReader(data.journal, prefetching: isAhead).forEach { line throws(JournalError) in
                if !line.spans.isEmpty { found += 1 }
                do throws(EventError) { try state.apply(line) } catch { throw Replay.unfoldable(line, error) }
                return true
            }
            #expect(found == (isAhead ? Int(state.position.rawValue) : 0))
            states.append(state)
        }
        #expect(StateEncoder.bytes(states[0]) == StateEncoder.bytes(states[1]))
    }

    @Test("a time means every event that is not later, wherever files begin", arguments: [4, 5] as [UInt64])
    func times(seed: UInt64) throws {
        print("seed \(seed)")
        var journal = RandomJournal(seed: seed)
        try journal.write(events: 1500, to: data.path, segmentBytes: Self.segmentBytes)
        var times: [(position: LogPosition, time: LogTime)] = []
        try LogReader(data.journal).forEach { line throws(JournalError) in
            times.append((line.position, line.time))
            return true
        }
        var numbers = SeededGenerator(seed)
        for _ in 0..<300 {
            let wanted = try #require(times.randomElement(using: &numbers)).time.microseconds
            let time = LogTime(microseconds: wanted + Int64.random(in: -2...2, using: &numbers))
            let expected = times.last { $0.time <= time }?.position ?? .zero
            #expect(try data.journal.lastPosition(notAfter: time) == expected, "\(time)")
        }
        #expect(try data.journal.lastPosition(notAfter: LogTime(microseconds: 0)) == .zero)
        #expect(try data.journal.lastPosition(notAfter: LogTime.now()) == times.last?.position)
    }

    @Test("few events are folded: those since the newest state before the moment")
    func counted() throws {
        var journal = RandomJournal(seed: 7)
        try journal.write(events: 4000, to: data.path, segmentBytes: Self.segmentBytes)
        try cover()
        let states = try CheckpointFiles(data).states
        let end = try last()
        var most: UInt64 = 0
        for position in stride(from: 1, through: end, by: 37) {
            let found = try reader.state(at: .position(LogPosition(position)))
            let base = states.last { $0.rawValue <= position } ?? .zero
            #expect(found.foldedEvents == position - base.rawValue, "seq \(position)")
            most = max(most, found.foldedEvents)
        }
        #expect(most < end / 2)
        let task = try #require(journal.tasks.first)
        let covered = try #require(try CheckpointFiles(data).indexes.last)
        #expect(try TaskEvents(of: task, in: data, upTo: covered).scannedEvents == 0)
    }

    @Test("what is deleted or damaged in checkpoints is no loss, and the next start makes it anew")
    func damaged() throws {
        var journal = RandomJournal(seed: 11)
        try journal.write(events: 2500, to: data.path, segmentBytes: Self.segmentBytes)
        try cover()
        let before = try LocalFileSystem().list(data.checkpoints)
        var numbers = SeededGenerator(12)
        for (place, name) in before.enumerated() {
            let path = data.checkpoints + "/" + name
            var bytes = try readWholeFile(path, on: LocalFileSystem())
            switch place % 4 {
            case 0: try FileManager.default.removeItem(atPath: path)
            case 1: bytes[bytes.count / 2] ^= 1
            case 2: bytes.removeLast(bytes.count / 3)
            default: continue
            }
            if place % 4 != 0 { try Data(bytes).write(to: URL(fileURLWithPath: path)) }
        }
        let end = try last()
        for _ in 0..<15 { try compare(UInt64.random(in: 0...end, using: &numbers), journal.tasks, &numbers) }
        try cover()
        for name in try CheckpointFiles(data).indexes { #expect(try CheckpointFiles(data).index(name) != nil) }
        #expect(try CheckpointFiles(data).indexes.count > 5)
        for _ in 0..<10 { try compare(UInt64.random(in: 0...end, using: &numbers), journal.tasks, &numbers) }
    }

    @Test("checkpoints of another journal are passed over, and removed by the next start")
    func foreign() throws {
        var other = RandomJournal(seed: 21)
        let elsewhere = DataDirectory(scratch.path + "/other")
        try other.write(events: 2000, to: elsewhere.path, segmentBytes: Self.segmentBytes)
        var journal = RandomJournal(seed: 22)
        try journal.write(events: 1200, to: data.path, segmentBytes: Self.segmentBytes)
        var writer = CheckpointWriter(elsewhere, segmentBytes: Self.segmentBytes)
        try writer.begin()
        try writer.catchUp { ManagerState() }
        let names = try LocalFileSystem().list(elsewhere.checkpoints)
        #expect(!names.isEmpty)
        try FileManager.default.copyItem(atPath: elsewhere.checkpoints, toPath: data.checkpoints)
        var numbers = SeededGenerator(23)
        let end = try last()
        for _ in 0..<10 { try compare(UInt64.random(in: 0...end, using: &numbers), journal.tasks, &numbers) }
        try cover()
        for _ in 0..<10 { try compare(UInt64.random(in: 0...end, using: &numbers), journal.tasks, &numbers) }
        #expect(try CheckpointFiles(data).indexes.allSatisfy { $0.rawValue <= end })
    }
}
