import EventLog
import Foundation
import Projections

/// Acts on a data directory where no manager runs: holds its lock, recovers and replays its journal as a start does,
/// and decides by the same rules.
///
/// Order of effects: the command's events are durable; then result rows that an extended task owes; then the state is
/// saved; then the lock is let go. Power lost after the first: the next start replays them and writes the rows.
final class DirectoryActor: TaskActor {
    private let data: DataDirectory
    private let lock: DirectoryLock
    private let processor: CommandProcessor
    private let snapshotPosition: LogPosition?
    private let actor = CommandLineActor.name

    private init(
        _ data: DataDirectory, _ lock: DirectoryLock, _ processor: CommandProcessor, _ snapshotPosition: LogPosition?
    ) {
        self.data = data
        self.lock = lock
        self.processor = processor
        self.snapshotPosition = snapshotPosition
    }

    /// Takes the lock and loads the state; nil where another process holds the lock. Blocks.
    static func open(_ data: DataDirectory) throws -> DirectoryActor? {
        // The lock's directory must not be made before this is known: a state file without its journal.
        try StartupOrder.refuseStateWithoutJournal(data)
        let lock: DirectoryLock
        do throws(JournalError) { lock = try DirectoryLock(data.journalPath, on: data.fileSystem) } catch {
            if case .locked = error { return nil }
            throw error
        }
        do { return try load(data, lock) } catch {
            lock.release()
            throw error
        }
    }

    private static func load(_ data: DataDirectory, _ lock: DirectoryLock) throws -> DirectoryActor {
        try lock.describe(
            "{\"pid\":\(getpid()),\"host\":\"\(hostName())\",\"started\":\"\(LogTime.now())\",\"http\":null,\"tcp\":null}"
        )
        let warn: @Sendable (String) -> Void = { Terminal.complain("manager: \($0)") }
        let results = ResultWriter(ResultFiles(dataDirectory: data.path, on: data.fileSystem), report: warn)
        let segmentBytes: Int64 = 64 << 20
        let loaded = try Startup(data: data, segmentBytes: segmentBytes, warn: warn).run(results: results)
        let publisher = Publisher(durable: loaded.opened.last)
        let writer = LogWriter(
            loaded.store, opened: loaded.opened, segmentBytes: segmentBytes,
            onDurable: { publisher.advance(to: $0) },
            onFailure: { error in
                warn("the journal cannot be written: \(error). Nothing acknowledged is lost; the command is not done")
                _exit(1)
            })
        let processor = CommandProcessor(
            state: loaded.state, writer: writer, publisher: publisher, results: results, poisonAfter: 0,
            fileSystem: data.fileSystem)
        if let cut = loaded.opened.cut {
            warn(
                "\(cut.bytes) bytes of an unfinished write were cut from the journal's end and kept in journal/\(cut.file)"
            )
            processor.record([ManagerDaemon.note(cut)], actor: nil)
        }
        return DirectoryActor(data, lock, processor, loaded.snapshotPosition)
    }

    func add(_ tasks: [UInt8]) async throws -> CommandProcessor.Added {
        let specs = try TaskRequest.specs(tasks)
        return try await processor.settled { () throws(Rejection) in try processor.add(specs, actor: actor) }
    }

    func load(_ sweep: LoadableSweep) async throws -> SweepLoader.Loaded {
        let loader = SweepLoader(processor: processor, data: data)
        let (file, actor) = (sweep.file, actor)
        let loaded = try await onThread(named: "sweep") {
            Result { () throws(Rejection) in try loader.load([file], actor: actor) }
        }.get()
        await processor.publisher.durable(processor.read { _ in }.position)
        return loaded
    }

    func operate(_ request: OperationRequest) async throws -> Int {
        try await processor.settled { () throws(Rejection) in
            try processor.operate(
                request.operation, on: request.target, priority: request.priority, isDryRun: request.isDryRun,
                actor: actor)
        }
    }

    func releaseWorker(_ worker: String) async throws -> Bool {
        try await processor.settled { () throws(Rejection) in try processor.releaseWorker(worker, actor: actor) }
    }

    func close() async throws {
        try await onThread(named: "shutdown") { [self] in
            Result {
                let state = processor.snapshot
                processor.writer.waitUntilDurable(state.position)
                processor.results.close()
                if state.position != snapshotPosition, processor.results.isWritten(upTo: state.position) {
                    try SnapshotService.write(state, to: data, paced: false)
                }
                processor.writer.close()
                lock.release()
            }
        }.get()
    }
}
