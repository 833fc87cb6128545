import EventLog
import Projections
import Synchronization

/// Rows in: reads what others appended to result files, and completes the tasks that the rows speak for.
///
/// At start `scan` is called once; then a thread of its own scans every interval. Order of effects: rows are read; their
/// completions and how far the file was read are one command; nothing is written to the files. Ends in between: the rows
/// are read again, from where the last `csv_read` says, with the same outcome. Where no row completes anything the event
/// is written at most once a minute a file, and at the latest together with an operator's act that opens a task again.
final class CSVReconciler: Sendable {
    /// What the thread keeps between scans.
    struct Working {
        var search: ResultFileSearch
        var files: [String: WatchedFile] = [:]
        var judge = RowJudge()
        var warnings: RowWarnings
        /// Offsets of rows of others that we ended, by path.
        var ended: [String: Set<Int64>] = [:]
    }

    /// A file as it stood when no row of ours was being written.
    struct Look {
        let found: ResultFileSearch.Found
        let metadata: FileMetadata
    }

    /// The most rows that are read before what they complete is written.
    static let batchRows = 500
    /// How long a `csv_read` without completion waits for the next one.
    static let recordInterval = Duration.seconds(60)
    /// The most rows that may wait for a `csv_read`.
    static let mostUnrecordedRows = 50_000

    let processor: CommandProcessor
    private let fileSystem: any FileSystem
    private let every: Duration
    private let working: Mutex<Working>
    private let isClosed = Mutex(false)
    private let isRunning = Mutex(false)
    private let wake = DispatchGate()
    private let finished = DispatchGate()

    /// `patterns`: what `--results` names. `warn` is told in sentences of rows that complete nothing.
    init(
        _ data: DataDirectory, _ processor: CommandProcessor, patterns: [String], every: Duration,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.processor = processor
        self.every = every
        fileSystem = data.fileSystem
        working = Mutex(
            Working(search: ResultFileSearch(data, patterns: patterns), warnings: RowWarnings(warn)))
    }

    /// Starts the thread.
    func start() {
        isRunning.withLock { $0 = true }
        startThread(named: "csv-rows") { [self] in
            while !closed {
                wake.wait(for: every)
                if !closed { _ = scan() }
            }
            isRunning.withLock { $0 = false }
            finished.open()
        }
    }

    /// Ends the thread after the rows that it is reading. Blocks until it has ended.
    func close() {
        isClosed.withLock { $0 = true }
        wake.open()
        while isRunning.withLock({ $0 }) { finished.wait(seconds: 1) }
    }

    /// True after `close`.
    var closed: Bool { isClosed.withLock { $0 } }

    /// Reads what is new in all files. How many tasks it completed; their events need not be durable yet.
    func scan() -> Int {
        working.withLock { working in
            processor.results.scanPrevious()
            let looks = look(&working)
            let news = looks.filter { look in
                working.files[look.found.name].map {
                    $0.identity != look.metadata.identity || $0.lookedAtBytes != look.metadata.sizeBytes
                } ?? (look.metadata.sizeBytes > 0)
            }
            var completed = 0
            if !news.isEmpty {
                // Taken after the sizes: a row speaks only for tasks that stood before it was written.
                let state = processor.snapshot
                for look in news where !closed {
                    do throws(FileError) { completed += try read(look, &working, state) } catch {
                        working.warnings.say("\(error); its rows are read when this works", of: look.found.name)
                    }
                }
            }
            recordDue(&working)
            processor.reopenings.settle(positions(looks.map(\.found), working))
            working.warnings.endScan()
            return completed
        }
    }

    private func look(_ working: inout Working) -> [Look] {
        var problems: [FileError] = []
        let found = working.search.find(processor.snapshot) { problems.append($0) }
        processor.reopenings.watch(positions(found, working))
        let fileSystem = fileSystem
        let (looks, ended) = processor.results.whileQuiet {
            found.compactMap { found -> Look? in
                do throws(FileError) {
                    return try fileSystem.metadata(found.path).map { Look(found: found, metadata: $0) }
                } catch {
                    problems.append(error)
                    return nil
                }
            }
        }
        for row in ended { working.ended[row.path, default: []].insert(row.offset) }
        for error in problems { working.warnings.say("\(error); its rows are not read", of: error.path) }
        return looks
    }

    /// How far each file was read.
    private func positions(_ found: [ResultFileSearch.Found], _ working: Working) -> [String: Int64] {
        Dictionary(found.map { ($0.path, working.files[$0.name]?.position ?? 0) }) { first, _ in first }
    }

    // MARK: - One file

    /// Reads the new rows of a file. Where that fails half way, what was read before counts.
    private func read(_ look: Look, _ working: inout Working, _ state: ManagerState) throws(FileError) -> Int {
        let (name, size) = (look.found.name, look.metadata.sizeBytes)
        let file = try fileSystem.open(look.found.path, .read)
        defer { file.close() }
        // Replaced since the look: the next scan reads what stands there now.
        guard try file.identity() == look.metadata.identity else { return 0 }
        var watched = try begin(look, file, working.files[name], state)
        defer { working.files[name] = watched }
        var rows = watched.rows(of: file, to: size)
        var completed = 0
        while !closed {
            let batch = try readBatch(&rows, &watched, &working, state)
            let wasRead = rows.position > watched.position
            watched.advance(rows, last: batch.last)
            if wasRead { completed += decide(batch, &watched, &working) }
            if batch.isAtEnd {
                watched.lookedAtBytes = size
                break
            }
        }
        return completed
    }

    /// Where reading begins: behind what was read before, if that still stands there, else at the beginning.
    private func begin(
        _ look: Look, _ file: any File, _ known: WatchedFile?, _ state: ManagerState
    ) throws(FileError) -> WatchedFile {
        let (identity, size) = (look.metadata.identity, look.metadata.sizeBytes)
        var watched =
            known ?? WatchedFile(name: look.found.name, path: look.found.path, identity: identity)
        if let known, known.identity == identity {
            if size >= known.position, try known.samplesStand(in: file) { return known }
        } else if let known {
            let event = known.event
            let read = ManagerState.FileRead(
                bytes: event.bytes, sha256: event.sha256, countsByHashTo: event.countsByHashTo)
            if size >= event.bytes, event.bytes > 0, try watched.resume(read, in: file, identity) { return watched }
        } else if let read = state.fileRead(look.found.name) {
            watched.recordedBytes = read.bytes
            if size >= read.bytes, try watched.resume(read, in: file, identity) { return watched }
        }
        processor.reopenings.begunAnew(look.found.path, identity, sizeBytes: size)
        watched.beginAnew(identity, sizeBytes: size)
        return watched
    }

    private func readBatch(
        _ rows: inout AppendedRows, _ watched: inout WatchedFile, _ working: inout Working, _ state: ManagerState
    ) throws(FileError) -> RowBatch {
        var batch = RowBatch()
        var count = 0
        let ended = working.ended[watched.path] ?? []
        while count < Self.batchRows {
            guard let item = try rows.next() else {
                batch.isAtEnd = true
                if let tail = rows.tail, tail.hasBareReturn {
                    working.warnings.say(
                        "\(watched.name), row \(rows.rowCount + 1): its lines end with CR alone, so nothing from there on "
                            + "is read; give them LF or CRLF as ends", of: watched.name)
                }
                return batch
            }
            count += 1
            guard case .row(let row) = item else {
                working.warnings.say(
                    "\(watched.name), row \(rows.rowCount): it is longer than 4 MiB, or has a quote that is never closed; "
                        + "its first line is passed over", of: watched.name)
                continue
            }
            batch.last = row
            guard let header = watched.header else {
                watched.take(header: row)
                continue
            }
            if ended.contains(row.offset) {
                // It may have lost its end. That it was warned of is done where it was ended.
                batch.ended.append(RowContent.hash(row, header))
                working.ended[watched.path]?.remove(row.offset)
                continue
            }
            let judgement = working.judge.judge(
                row, number: rows.rowCount, header, file: watched.name, state, &working.warnings)
            if case .candidate(let candidate) = judgement { batch.candidates.append(candidate) }
        }
        return batch
    }
}

/// Rows of one file that are decided together.
struct RowBatch {
    /// Rows that speak for tasks, in order.
    var candidates: [RowJudge.Candidate] = []
    /// Rows of others that we ended: they complete nothing, now and later.
    var ended: [RowHash] = []
    /// The last row; nil where none was read.
    var last: CSVRow?
    /// True when no other whole row stands in the file.
    var isAtEnd = false
}
