import EventLog
import Glibc
import Synchronization
import TestSupport

/// Rounds of the journal's simulation: runs of a process that end in the middle, and what the next one finds.
struct JournalRounds {
    /// The disk that all runs share.
    let disk: SimulatedDisk
    /// What must stand on it.
    var model = JournalModel()
    private var random: SeededGenerator

    /// A round's world, by seed.
    init(seed: UInt64) {
        random = SeededGenerator(seed)
        disk = SimulatedDisk(blockBytes: random.oneIn(2) ? 512 : 4096)
    }

    /// A whole random round. Throws what must not be.
    mutating func run() throws {
        for _ in 0...(random.below(3)) {
            try runOnce()
            if !random.oneIn(4) { losePower() }
        }
        try finish()
    }

    private mutating func losePower() {
        let loss =
            random.oneIn(4)
            ? SimulatedDisk.Loss.kinds[random.below(SimulatedDisk.Loss.kinds.count)] : .random(random.next())
        disk.losePower(loss)
    }

    /// The last start, on a disk without faults: everything is right, and the journal goes on.
    mutating func finish() throws {
        let run = try JournalRun(disk.process(), segmentBytes: 1 << 20, &model)
        _ = run.append(sampleCommand("after", events: 2), &model)
        run.commit(&model)
        try run.stop(&model)
        let directory = run.directory
        let report = try Verifier(directory).run()
        guard report.damage.isEmpty, report.tail == nil, report.last == model.last else {
            throw SimulationFailure("verify finds \(report.damage) \(String(describing: report.tail))")
        }
        let left = disk.files.keys.filter { $0.hasSuffix(".tmp") && $0.hasPrefix(JournalRun.path) }
        guard left.isEmpty else { throw SimulationFailure("unfinished files stand after a start: \(left)") }
    }

    /// One run of the process: it starts, works, and is ended by chance, by a fault or in order.
    private mutating func runOnce() throws {
        var faults = SimulatedFileSystem.Faults(seed: random.next())
        if !random.oneIn(5) { faults.deathAt = 1 + random.below(random.oneIn(2) ? 12 : 70) }
        if random.oneIn(3) { faults.failures[1 + random.below(60)] = random.oneIn(2) ? EIO : ENOSPC }
        let fileSystem = disk.process(faults)
        let run: JournalRun
        do { run = try JournalRun(fileSystem, segmentBytes: Int64(400 + random.below(4000)), &model) } catch {
            guard case .file = error as? JournalError else {
                if fileSystem.isDead, error is FileError { return }
                throw error
            }
            // The start failed, as it must: the disk did.
            fileSystem.kill()
            return
        }
        let steps = 1 + random.below(12)
        for _ in 0..<steps where !run.isOver { try step(run) }
        if !run.isOver, random.oneIn(4) {
            do { try run.stop(&model) } catch { guard error is FileError else { throw error } }
            run.fileSystem.kill()
            return
        }
        if !run.isOver { _ = run.append(command(), &model) }
        run.kill(&model)
    }

    private mutating func command() -> EncodedCommand {
        let bytes = random.oneIn(6) ? 2000 + random.below(9000) : 5 + random.below(200)
        return sampleCommand(model.text(bytes, &random), events: 1 + random.below(random.oneIn(3) ? 4 : 1))
    }

    private mutating func step(_ run: JournalRun) throws {
        do {
            switch random.below(10) {
            case 0...4: try appendBatch(run)
            case 5: _ = try run.store.archiveNow()
            case 6: run.writer.sealActive()
            case 7: try compact(run)
            default:
                let appended = run.append(command(), &model)
                run.commit(&model)
                if !run.isOver { try run.snapshot(appended) }
            }
        } catch let error as FileError {
            if error.errno != EIO && error.errno != ENOSPC { throw error }
        } catch let error as JournalError {
            // An error of the disk: the plain segment stays, the snapshot waits. Damage is none of it.
            guard case .file = error else { throw error }
        }
    }

    private mutating func appendBatch(_ run: JournalRun) throws {
        for _ in 0...random.below(random.oneIn(3) ? 12 : 2) { _ = run.append(command(), &model) }
        run.commit(&model)
    }

    /// What a compaction and the appends between its calls both change.
    private final class Shared: Sendable {
        let now: Mutex<(model: JournalModel, random: SeededGenerator)>
        let isInside = Atomic(false)
        /// Each append may end a segment, which the compaction takes too: without a bound it would never end.
        let left = Atomic(6)
        init(_ model: JournalModel, _ random: SeededGenerator) { now = Mutex((model, random)) }
    }

    /// A compaction, with commands that are appended between its calls.
    private mutating func compact(_ run: JournalRun) throws {
        let shared = Shared(model, random)
        let every = 2 + random.below(9)
        run.fileSystem.between { call in
            guard run.store.isCompacting, call % every == 0,
                shared.left.load(ordering: .relaxed) > 0,
                shared.isInside.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
            else { return }
            shared.left.subtract(1, ordering: .relaxed)
            shared.now.withLock { now in
                let text = now.model.text(30, &now.random)
                _ = run.append(sampleCommand(text), &now.model)
                run.commit(&now.model)
            }
            shared.isInside.store(false, ordering: .releasing)
        }
        defer {
            run.fileSystem.between(nil)
            shared.now.withLock { (model, random) = ($0.model, $0.random) }
        }
        _ = try run.writer.compact(mergedBytes: Int64(500 + random.below(3000)))
    }
}
