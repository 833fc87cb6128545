import EventLog
import Glibc
import Synchronization
import TestSupport

/// One run of a process that keeps a journal on a simulated disk: the real store, recovery, writer, compaction and
/// atomic files.
///
/// A state file stands for the manager's snapshot: it names the last event that it holds, and recovery is told of it as
/// it is of the real one.
final class JournalRun: Sendable {
    /// The journal's directory.
    static let path = "/data/journal"
    private static let stateFile = "/data/state"

    let fileSystem: SimulatedFileSystem
    let store: SimulatedStore
    let writer: LogWriter
    private let told: Told

    /// What the writer has told.
    private final class Told: Sendable {
        let durable: Mutex<LogPosition>
        let hasFailed = Atomic(false)
        init(_ durable: LogPosition) { self.durable = Mutex(durable) }
    }

    var directory: JournalDirectory { JournalDirectory(Self.path, on: fileSystem) }

    /// Starts: recovery, then what stands is compared with the model. Throws a `SimulationFailure` where it differs;
    /// a `JournalError` where the start did not succeed.
    init(_ fileSystem: SimulatedFileSystem, segmentBytes: Int64, _ model: inout JournalModel) throws {
        self.fileSystem = fileSystem
        let directory = JournalDirectory(Self.path, on: fileSystem)
        store = SimulatedStore(LocalJournalStore(directory, segmentBytes: segmentBytes))
        let mark = try Self.snapshot(fileSystem)
        let hints = RecoveryHints(
            snapshotBeyond: { last in
                guard let mark, mark.position > last else { return nil }
                return SnapshotMark(position: mark.position, path: Self.stateFile)
            },
            isCleanStop: { last, crc, body in
                last == mark?.position && crc == mark?.crc && body.starts(with: Self.stopped)
            })
        let opened = try store.open(hints)
        try model.settle(directory)
        guard opened.last == model.last else {
            throw SimulationFailure("opened at seq \(opened.last), but \(model.last) stands")
        }
        if let time = model.commands.last?.time, opened.lastTime != time {
            throw SimulationFailure(
                "the last event's time is \(time), the start says \(String(describing: opened.lastTime))")
        }
        let told = Told(opened.last)
        self.told = told
        writer = LogWriter(
            store, opened: opened, segmentBytes: segmentBytes,
            onDurable: { position in told.durable.withLock { $0 = position } },
            onFailure: { _ in
                // The real one ends the process at once.
                fileSystem.kill()
                told.hasFailed.store(true, ordering: .releasing)
            })
    }

    private static let stopped = Array(#""type":"stopped""#.utf8)

    private static func snapshot(_ fileSystem: SimulatedFileSystem) throws -> (position: LogPosition, crc: UInt32)? {
        guard try fileSystem.metadata(stateFile) != nil else { return nil }
        let words = String(decoding: try readWholeFile(stateFile, on: fileSystem), as: UTF8.self).split(separator: " ")
        guard words.count == 3, words[2] == "whole", let seq = UInt64(words[0]), let crc = UInt32(words[1]) else {
            throw SimulationFailure("a state file is not whole: \(words)")
        }
        return (LogPosition(seq), crc)
    }

    /// True when the process is over.
    var isOver: Bool { fileSystem.isDead || told.hasFailed.load(ordering: .acquiring) }

    /// Appends a command that is not durable yet.
    func append(_ command: EncodedCommand, _ model: inout JournalModel) -> LogWriter.Appended {
        // A batch is what stands between two commits, and not what a thread finds: the same in every replay.
        while !isOver, !writer.isIdle { sched_yield() }
        let time =
            model.commands.last.map { $0.time.advanced(bySeconds: 0.001) }
            ?? LogTime(microseconds: 1_700_000_000_000_000)
        let appended = writer.append(command, time: time, willCommit: true)
        model.append(command, time: time, last: appended.last)
        return appended
    }

    /// Waits for what was appended; the model learns what is certain.
    func commit(_ model: inout JournalModel) {
        writer.waitUntilDurable(model.last)
        model.acknowledge(told.durable.withLock { $0 })
    }

    /// Writes the state file for the last durable event.
    func snapshot(_ appended: LogWriter.Appended) throws(FileError) {
        guard writer.durable >= appended.last else { return }
        var file = try AtomicFile(Self.stateFile, on: fileSystem)
        do throws(FileError) {
            try file.append(Array("\(appended.last) \(appended.crc) whole".utf8))
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
    }

    /// Ends the process wherever it is, without a stop.
    func kill(_ model: inout JournalModel) {
        fileSystem.kill()
        model.acknowledge(told.durable.withLock { $0 })
        writer.close()
    }

    /// A clean stop.
    func stop(_ model: inout JournalModel) throws {
        var command = EncodedCommand()
        command.append { $0 += Self.stopped + Array(#","note":true"#.utf8) }
        let last = append(command, &model)
        commit(&model)
        if !isOver { try snapshot(last) }
        writer.close()
    }
}
