import EventLog
import Glibc
import TestSupport
import Testing

@Suite("The journal under simulated crashes")
struct JournalSimulationTests {
    @Test("random runs that end anywhere, on a disk that loses anything unsynced")
    func randomJournal() async {
        await Simulation.run("randomJournal", share: 0.7) { seed in
            var rounds = JournalRounds(seed: seed)
            try rounds.run()
        }
    }

    /// Seeds that once showed a fault; each stays.
    private static let found: [UInt64] = [38, 103, 309, 438, 536, 623, 945]

    @Test("rounds that once failed", arguments: found)
    func once(seed: UInt64) throws {
        var rounds = JournalRounds(seed: seed)
        try rounds.run()
    }

    @Test("a journal's first write of many lines is there whole or not at all, wherever it ends and whatever is lost")
    func firstWrite() throws {
        func live(_ fileSystem: SimulatedFileSystem, _ model: inout JournalModel) throws {
            let run: JournalRun
            do { run = try JournalRun(fileSystem, segmentBytes: 1 << 20, &model) } catch {
                guard fileSystem.isDead, !(error is SimulationFailure) else { throw error }
                return
            }
            for number in 0..<40 where !run.isOver {
                let text = "\(number)" + String(repeating: "x", count: 300)
                _ = run.append(sampleCommand(text, events: 1 + number % 3), &model)
            }
            run.kill(&model)
        }
        for call in 1...24 {
            for loss in SimulatedDisk.Loss.kinds + (1...20).map({ .random($0) }) {
                var rounds = JournalRounds(seed: 0)
                do {
                    try live(rounds.disk.process(.init(deathAt: call, seed: UInt64(call))), &rounds.model)
                    rounds.disk.losePower(loss)
                    try rounds.finish()
                } catch { Issue.record("death in call \(call), \(loss): \(error)") }
            }
        }
    }

    @Test("a full disk in any call of a seal: the old segment goes on, or nothing does", arguments: [false, true])
    func fullDiskInSeal(losesRest: Bool) throws {
        let whole = SimulatedDisk().process()
        func live(_ fileSystem: SimulatedFileSystem, _ model: inout JournalModel) throws -> ClosedRange<Int> {
            let run = try JournalRun(fileSystem, segmentBytes: 1 << 20, &model)
            _ = run.append(sampleCommand("before"), &model)
            run.commit(&model)
            let first = fileSystem.changingCalls + 1
            run.writer.sealActive()
            let last = fileSystem.changingCalls
            if !run.isOver {
                _ = run.append(sampleCommand("behind"), &model)
                run.commit(&model)
            }
            run.kill(&model)
            return first...max(first, last)
        }
        var model = JournalModel()
        let calls = try live(whole, &model)
        #expect(calls.count == 6)
        for call in calls {
            var rounds = JournalRounds(seed: 0)
            var faults = SimulatedFileSystem.Faults(seed: UInt64(call))
            faults.failures[call] = ENOSPC
            do {
                _ = try live(rounds.disk.process(faults), &rounds.model)
                rounds.disk.losePower(losesRest ? .everything : .nothing)
                try rounds.finish()
            } catch { Issue.record("full in call \(call): \(error)") }
        }
    }

    /// A short run with everything in it: appends, batches, a seal, compressing, a snapshot, a merge.
    private func work(_ run: JournalRun, _ model: inout JournalModel) throws {
        func append(_ count: Int, events: Int = 1) -> LogWriter.Appended? {
            var last: LogWriter.Appended?
            for number in 0..<count where !run.isOver {
                let text = "\(model.commands.count)-\(number)-" + String(repeating: "x", count: 300)
                last = run.append(sampleCommand(text, events: events), &model)
            }
            run.commit(&model)
            return last
        }
        func trying(_ body: () throws -> Void) throws {
            do { try body() } catch {
                guard error is FileError || { if case .file = error as? JournalError { true } else { false } }() else {
                    throw error
                }
            }
        }
        _ = append(1)
        let last = append(5, events: 2)
        if let last, !run.isOver { try trying { try run.snapshot(last) } }
        if !run.isOver { run.writer.sealActive() }
        _ = append(2)
        if !run.isOver { try trying { _ = try run.store.archiveNow() } }
        _ = append(1)
        if !run.isOver { try trying { _ = try run.writer.compact(mergedBytes: 1 << 20) } }
        _ = append(1)
    }

    @Test("every call of a short run, with every kind of loss, and a second crash in the start that follows")
    func everyCall() throws {
        func calls(_ body: (SimulatedFileSystem, inout JournalModel) throws -> Void) throws -> Int {
            var rounds = JournalRounds(seed: 0)
            let whole = rounds.disk.process()
            try body(whole, &rounds.model)
            return whole.changingCalls
        }
        func live(_ fileSystem: SimulatedFileSystem, _ model: inout JournalModel) throws {
            let run: JournalRun
            do { run = try JournalRun(fileSystem, segmentBytes: 1 << 20, &model) } catch {
                guard fileSystem.isDead, !(error is SimulationFailure) else { throw error }
                return
            }
            try work(run, &model)
            run.kill(&model)
        }
        let count = try calls(live)
        #expect(count > 40)
        for call in 1...count {
            for loss in SimulatedDisk.Loss.kinds + [.random(1), .random(2)] {
                for second in [0, 2, 4, 6, 8] {
                    var rounds = JournalRounds(seed: 0)
                    do {
                        try live(rounds.disk.process(.init(deathAt: call, seed: UInt64(call))), &rounds.model)
                        rounds.disk.losePower(loss)
                        if second > 0 {
                            let faults = SimulatedFileSystem.Faults(deathAt: second, seed: UInt64(second))
                            try live(rounds.disk.process(faults), &rounds.model)
                            rounds.disk.losePower(loss)
                        }
                        try rounds.finish()
                    } catch { Issue.record("death in call \(call), \(loss), then in call \(second): \(error)") }
                }
            }
        }
    }

    @Test("block 3 of a write survives and block 1 does not: accepted, where 'cut only before no valid line' refuses")
    func laterBlockSurvives() throws {
        let disk = SimulatedDisk()
        var model = JournalModel()
        let fileSystem = disk.process()
        let run = try JournalRun(fileSystem, segmentBytes: 1 << 20, &model)
        _ = run.append(sampleCommand("acknowledged"), &model)
        run.commit(&model)
        // One write of several blocks; the process ends before its sync.
        for number in 0..<60 {
            _ = run.append(sampleCommand("in flight \(number)" + String(repeating: ".", count: 200)), &model)
        }
        try #require(run.writer.isIdle)
        fileSystem.between { [next = fileSystem.changingCalls + 2] call in if call == next { fileSystem.kill() } }
        run.commit(&model)
        run.kill(&model)
        disk.losePower(.evenBlocks)
        let path = JournalRun.path + "/00000000000000000001.jsonl"
        let bytes = try #require(disk.files[path])
        let zero = try #require(bytes.firstIndex(of: 0))
        let after = bytes[(bytes[zero...].firstIndex { $0 != 0 } ?? bytes.endIndex)...]
        let valid = after.split(separator: 10).dropFirst().count { line in
            line.withUnsafeBufferPointer { LogLine($0) != nil }
        }
        #expect(
            valid > 3, "whole lines stand behind the block that is missing: \(String(decoding: bytes, as: UTF8.self))")
        // The rule that others use: cut a broken line only where no valid one follows.
        #expect(RecoveryTable.decide(facts(bytes, carriesSynced: false)) == .refuse(.validLinesFollow))
        let again = try JournalRun(disk.process(), segmentBytes: 1 << 20, &model)
        #expect(model.commands.count >= 1)
        again.kill(&model)
    }

    /// What recovery sees in the file, as if its writer had left `synced` out.
    private func facts(_ bytes: [UInt8], carriesSynced: Bool) -> TailFacts {
        let bad = bytes.firstIndex(of: 0) ?? bytes.count
        return TailFacts(
            firstBad: .brokenLine, lastGood: LogPosition(1), badBytes: Int64(bytes.count - bad),
            endsInsideCommand: false, hasValidLineAfter: true, syncedAfter: nil, writesCarrySynced: carriesSynced,
            snapshotBeyond: nil, isCleanStop: false)
    }
}
