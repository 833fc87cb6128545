import EventLog
import Glibc
import Projections
import Synchronization
import TestSupport

@testable import manager

/// Rounds of the manager's simulation: its own start, processor, result writer, snapshots, backups, compaction, CSV
/// reconciler and reset, on a simulated disk.
struct ManagerRounds {
    private let disk: SimulatedDisk
    private var model = ManagerModel()
    private var random: SeededGenerator
    private var tasks = 0
    private var marks = 0

    /// A round's world, by seed.
    init(seed: UInt64) {
        random = SeededGenerator(seed)
        disk = SimulatedDisk(blockBytes: random.oneIn(2) ? 512 : 4096)
    }

    /// A whole random round. Throws what must not be.
    mutating func run() throws {
        for _ in 0...(random.below(3)) {
            var faults = SimulatedFileSystem.Faults(seed: random.next())
            if !random.oneIn(5) { faults.deathAt = 1 + random.below(random.oneIn(2) ? 30 : 120) }
            if random.oneIn(4) { faults.failures[1 + random.below(80)] = random.oneIn(2) ? EIO : ENOSPC }
            try runOnce(disk.process(faults), isFaulty: !faults.failures.isEmpty)
            if !random.oneIn(4) {
                let kinds = SimulatedDisk.Loss.kinds
                disk.losePower(random.oneIn(4) ? kinds[random.below(kinds.count)] : .random(random.next()))
            }
        }
        let last = disk.process()
        try runOnce(last, isFaulty: false, isLast: true)
        let report = try Verifier(DataDirectory("/data", on: disk.process()).journal).run()
        guard report.damage.isEmpty else { throw SimulationFailure("verify finds \(report.damage)") }
    }

    /// A running manager's parts.
    private struct Parts {
        let data: DataDirectory
        let fileSystem: SimulatedFileSystem
        let lock: DirectoryLock
        let store: RecordingStore
        let processor: CommandProcessor
        let snapshots: SnapshotService
        let reconciler: CSVReconciler
        let durable: Atomic64
    }

    /// A position that is told from another thread.
    private final class Atomic64: Sendable {
        let value: Atomic<UInt64>
        init(_ value: UInt64) { self.value = Atomic(value) }
    }

    private mutating func runOnce(
        _ fileSystem: SimulatedFileSystem, isFaulty: Bool, isLast: Bool = false
    ) throws {
        guard let parts = try start(fileSystem, isFaulty: isFaulty) else { return fileSystem.kill() }
        let before = model.lines
        for _ in 0..<(isLast ? 1 : 1 + random.below(10)) where !fileSystem.isDead { try step(parts) }
        let stops = isLast || (!fileSystem.isDead && random.oneIn(4))
        if stops { stop(parts) }
        fileSystem.kill()
        parts.processor.results.close()
        parts.processor.writer.close()
        model.lines = before + parts.store.lines
        model.acknowledged = max(model.acknowledged, Int(parts.durable.value.load(ordering: .acquiring)))
        if stops, !isLast, random.oneIn(3) { reset() }
    }

    private mutating func start(_ fileSystem: SimulatedFileSystem, isFaulty: Bool) throws -> Parts? {
        let data = DataDirectory("/data", on: fileSystem)
        func isExcused(_ exitStatus: Int32) -> Bool { exitStatus == 1 && (fileSystem.isDead || isFaulty) }
        let lock: DirectoryLock
        do {
            try StartupOrder.refuseStateWithoutJournal(data)
            lock = try DirectoryLock(data.journalPath, on: fileSystem)
        } catch let error as StartFailure {
            guard isExcused(error.exitStatus) else { throw SimulationFailure("the start is refused: \(error)") }
            return nil
        } catch {
            guard isExcused(1) else { throw error }
            return nil
        }
        let results = ResultWriter(ResultFiles(dataDirectory: data.path, on: fileSystem), report: { _ in })
        let loaded: Startup.Loaded
        do throws(StartFailure) {
            loaded = try Startup(data: data, segmentBytes: Int64(1000 + random.below(9000)), warn: { _ in })
                .run(results: results)
        } catch {
            results.close()
            guard isExcused(error.exitStatus) else { throw SimulationFailure("the start is refused: \(error)") }
            return nil
        }
        let store = RecordingStore(loaded.store)
        if fileSystem.isDead {
            results.close()
            return nil
        }
        // Through a door of its own: a thread of the process may die meanwhile.
        try model.settle(DataDirectory("/data", on: disk.process()))
        guard StateEncoder.bytes(loaded.state) == StateEncoder.bytes(try model.state()) else {
            results.close()
            throw SimulationFailure("the state of the start is not that of the journal's \(model.lines.count) events")
        }
        if !fileSystem.isDead { try model.check(disk.files, all: !isFaulty) }
        let publisher = Publisher(durable: loaded.opened.last)
        let durable = Atomic64(loaded.opened.last.rawValue)
        let writer = LogWriter(
            store, opened: loaded.opened, segmentBytes: 3000,
            onDurable: { position in
                durable.value.store(position.rawValue, ordering: .releasing)
                publisher.advance(to: position)
            }, onFailure: { _ in fileSystem.kill() })
        let processor = CommandProcessor(
            state: loaded.state, writer: writer, publisher: publisher, results: results, poisonAfter: 5,
            fileSystem: fileSystem)
        let parts = Parts(
            data: data, fileSystem: fileSystem, lock: lock, store: store, processor: processor,
            snapshots: SnapshotService(data, processor, last: loaded.snapshotPosition),
            reconciler: CSVReconciler(data, processor, patterns: [], every: .seconds(5), warn: { _ in }),
            durable: durable)
        processor.record([.started(version: "test", host: "h", pid: 1)], actor: nil)
        _ = parts.reconciler.scan()
        processor.writer.waitUntilDurable(processor.snapshot.position)
        return parts
    }

    private mutating func step(_ parts: Parts) throws {
        let processor = parts.processor
        do {
            switch random.below(12) {
            case 0, 1:
                let specs = (0...random.below(3)).map { _ in
                    tasks += 1
                    return TaskSpec(
                        id: "t\(tasks)", phase: "p", config: Array("{\"x\":\(tasks)}".utf8),
                        outputDirectories: ["results_p"])
                }
                _ = try processor.add(specs, actor: nil)
                processor.writer.waitUntilDurable(processor.snapshot.position)
            case 2, 3, 4, 5: try work(processor)
            case 6:
                let ids = processor.snapshot.taskCount > 0 ? ["t\(1 + random.below(tasks))"] : []
                _ = try processor.operate(.requeue, on: .ids(ids), actor: nil)
                processor.writer.waitUntilDurable(processor.snapshot.position)
            case 7:
                if processor.results.isWritten(upTo: processor.snapshot.position) {
                    _ = try parts.snapshots.write(paced: false)
                }
            case 8:
                let state = processor.snapshot
                processor.writer.waitUntilDurable(state.position)
                if processor.writer.durable >= state.position, processor.results.isWritten(upTo: state.position) {
                    try Backups(parts.data, thinning: BackupThinning(most: 2)).write(state, paced: false)
                }
            case 9: _ = try parts.store.archiveNow()
            case 10:
                if processor.results.isWritten(upTo: processor.snapshot.position) {
                    _ = try Compaction(processor: processor, snapshots: parts.snapshots).run(actor: nil)
                }
            default: try appendForeign(parts)
            }
        } catch is Rejection {
        } catch let error as JournalError {
            guard case .file = error else { throw error }
        } catch is FileError {}
    }

    /// A worker's turn: claims a task, and ends it with or without a result.
    private mutating func work(_ processor: CommandProcessor) throws {
        let claim = try processor.claim(ManagerState.ClaimRequest(worker: "w", count: 2), actor: nil)
        guard case .tasks(let claimed, let position) = claim else { return }
        processor.writer.waitUntilDurable(position)
        for task in claimed where processor.writer.durable >= position {
            let speaker = ManagerState.Speaker(worker: "w")
            if random.oneIn(5) {
                _ = try processor.fail(task.id, by: speaker, error: "oops", actor: nil)
                continue
            }
            let column = ["acc", "acc", "acc", "loss", "f1"][random.below(5)]
            let result = random.oneIn(6) ? nil : Array("{\"acc\":\(random.below(100)),\"\(column)_2\":1}".utf8)
            let decided = try processor.complete(task.id, by: speaker, result: result, actor: nil)
            processor.writer.waitUntilDurable(decided.position)
            guard processor.writer.durable >= decided.position, let row = decided.answer.row else { continue }
            let written = DispatchGate()
            processor.results.write(row) { written.open() }
            written.wait(seconds: 60)
        }
        processor.writer.waitUntilDurable(processor.snapshot.position)
    }

    /// Another program appends a row to a result file, and syncs it.
    private mutating func appendForeign(_ parts: Parts) throws {
        let name = ["/data/final_results.csv", "/data/results_p/final_results.csv"][random.below(2)]
        let other = disk.process()
        guard let metadata = try other.metadata(name), tasks > 0 else { return }
        let bytes = try readWholeFile(name, on: other)
        guard bytes.last == 10, let header = bytes.split(separator: 10).first else { return }
        let columns = String(decoding: header, as: UTF8.self).split(separator: ",").map(String.init)
        guard columns.contains("acc"), metadata.sizeBytes == bytes.count else { return }
        marks += 1
        let values = ["task_id": "t\(1 + random.below(tasks))", "acc": "foreign\(marks)"]
        let row = columns.map { values[$0] ?? "" }.joined(separator: ",") + "\n"
        let file = try other.open(name, .update)
        try writeAll(Array(row.utf8), to: file, at: metadata.sizeBytes)
        try file.sync()
        file.close()
        try other.syncDirectory(parentDirectory(of: name))
        model.foreign[name, default: []].append("foreign\(marks)")
        _ = parts.reconciler.scan()
        parts.processor.writer.waitUntilDurable(parts.processor.snapshot.position)
    }

    /// A clean stop, as far as the disk lets it.
    private func stop(_ parts: Parts) {
        let processor = parts.processor
        parts.reconciler.close()
        processor.record([.stopped], actor: nil)
        processor.writer.waitUntilDurable(processor.snapshot.position)
        processor.results.close()
        guard processor.results.isWritten(upTo: processor.snapshot.position) else { return }
        do {
            _ = try parts.snapshots.write(paced: false)
            try Backups(parts.data, thinning: BackupThinning(most: 2)).write(processor.snapshot, paced: false)
        } catch { return }  // the journal has everything
        processor.writer.close()
        parts.lock.release()
    }

    /// `manager reset` on the stopped directory, which may end anywhere.
    private mutating func reset() {
        let fileSystem = disk.process(.init(deathAt: 1 + random.below(25), seed: random.next()))
        let data = DataDirectory("/data", on: fileSystem)
        model.mayHaveReset = true
        model.foreign = [:]
        do {
            let lock = try DirectoryLock(data.journalPath, on: fileSystem)
            let reset = Reset(data: data, keepsResults: false)
            _ = try reset.run(try reset.plan())
            lock.release()
        } catch {}  // it died
        fileSystem.kill()
    }
}
