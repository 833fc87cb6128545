import Crypto
import EventLog
import Projections

/// What is known of a result file that others may write: how far it was read, and how to tell that it still is the
/// file that was read.
struct WatchedFile {
    /// What is compared before reading goes on in a file that grew: its header and its last row.
    private struct Sample {
        let offset: Int64
        let bytes: [UInt8]
        static let maximumBytes = 4096
    }

    /// The name in events.
    let name: String
    /// The resolved path.
    let path: String
    /// Which file it is.
    private(set) var identity: FileIdentity
    /// The size at the last look; what is not larger now has nothing new.
    var lookedAtBytes: Int64 = 0
    /// The header; nil while the file has no whole row.
    private(set) var header: ResultFile.Header?
    /// Up to where it was read.
    private(set) var position: Int64 = 0
    /// SHA-256 up to there.
    private(set) var hash = SHA256()
    /// Rows up to there, the header among them.
    private(set) var rowCount = 0
    /// Rows before this offset count by their hash: the file was begun anew when it had so many bytes.
    private(set) var countsByHashTo: Int64 = 0
    /// How often each hash was met in that part.
    var met: [RowHash: Int] = [:]
    /// Rows that spoke for tasks which were complete or cancelled and stand in no `csv_read` yet, in order.
    private(set) var unrecordedRows: [RowHash] = []
    /// How often each of them did.
    private var unrecordedTimes: [RowHash: Int] = [:]
    /// The position in the last `csv_read`.
    var recordedBytes: Int64 = 0
    /// When that was written, in this run.
    var recordedAt: ContinuousClock.Instant?
    /// The position in the event for it that the command processor keeps and that is not written yet; nil: none.
    var awaitedBytes: Int64?
    private var samples: [Sample] = []

    /// Knows nothing yet.
    init(name: String, path: String, identity: FileIdentity) {
        self.name = name
        self.path = path
        self.identity = identity
    }

    /// True while rows count by their hash.
    var countsByHash: Bool { position < countsByHashTo }

    /// The event that tells how far it was read.
    var event: Event.CSVRead {
        var read = Event.CSVRead(file: name, bytes: position, sha256: hexString(hash.finalize()))
        read.rows = unrecordedRows
        read.countsByHashTo = countsByHash ? countsByHashTo : 0
        return read
    }

    /// Notes that a row has spoken, for the next `csv_read`.
    mutating func note(_ hash: RowHash) {
        unrecordedRows.append(hash)
        unrecordedTimes[hash, default: 0] += 1
    }

    /// How often a row has spoken that stands in no `csv_read` yet.
    func unrecordedTimes(_ hash: RowHash) -> Int { unrecordedTimes[hash] ?? 0 }

    /// All that was noted stands in a `csv_read` now, which says that the file was read up to `bytes`.
    mutating func noteRecorded(bytes: Int64, _ now: ContinuousClock.Instant) {
        unrecordedRows = []
        unrecordedTimes = [:]
        awaitedBytes = nil
        recordedBytes = bytes
        recordedAt = now
    }

    /// Reads from here on, up to `end`.
    func rows(of file: any File, to end: Int64) -> AppendedRows {
        AppendedRows(file, from: position, to: end, hash: hash, rowCount: rowCount)
    }

    /// Takes over how far was read; `last`: the last item, nil where nothing was.
    mutating func advance(_ rows: AppendedRows, last row: CSVRow?) {
        position = rows.position
        hash = rows.hash
        rowCount = rows.rowCount
        if let row, let first = samples.first { samples = [first, Self.sample(row)] }
        if !countsByHash { met = [:] }
    }

    /// Takes the first row as the header.
    mutating func take(header row: CSVRow) {
        header = ResultFile.Header(row)
        samples = [Self.sample(row)]
    }

    /// Forgets all that was read: the file, so many bytes now, is read from its beginning, and its rows count by hash.
    mutating func beginAnew(_ identity: FileIdentity, sizeBytes: Int64) {
        let old = self
        self = WatchedFile(name: old.name, path: old.path, identity: identity)
        unrecordedRows = old.unrecordedRows
        unrecordedTimes = old.unrecordedTimes
        recordedBytes = old.recordedBytes
        recordedAt = old.recordedAt
        awaitedBytes = old.awaitedBytes
        countsByHashTo = sizeBytes
    }

    /// True when header and last row still stand where they stood. Reads at most 8 KiB.
    func samplesStand(in file: any File) throws(FileError) -> Bool {
        for sample in samples
        where try readBytes(of: file, at: sample.offset, count: sample.bytes.count) != sample.bytes { return false }
        return true
    }

    /// Reads the beginning of a file and takes it over where it is the one that was read; else false, and nothing has
    /// changed. `read`: how far, as the journal has it.
    mutating func resume(
        _ read: ManagerState.FileRead, in file: any File, _ identity: FileIdentity
    ) throws(FileError) -> Bool {
        var trial = WatchedFile(name: name, path: path, identity: identity)
        trial.countsByHashTo = read.countsByHashTo
        var rows = trial.rows(of: file, to: read.bytes)
        var last: CSVRow?
        while let item = try rows.next() {
            guard case .row(let row) = item else { continue }
            last = row
            guard let header = trial.header else {
                trial.take(header: row)
                continue
            }
            if row.offset < read.countsByHashTo, read.bytes < read.countsByHashTo {
                trial.met[RowContent.hash(row, header), default: 0] += 1
            }
        }
        guard rows.position == read.bytes else { return false }
        let met = trial.met
        trial.advance(rows, last: last)
        trial.met = met
        guard trial.event.sha256 == read.sha256 else { return false }
        trial.unrecordedRows = unrecordedRows
        trial.unrecordedTimes = unrecordedTimes
        trial.recordedBytes = recordedBytes
        trial.recordedAt = recordedAt
        trial.awaitedBytes = awaitedBytes
        self = trial
        return true
    }

    private static func sample(_ row: CSVRow) -> Sample {
        let bytes = Array(row.raw.suffix(Sample.maximumBytes))
        return Sample(offset: row.endOffset - Int64(bytes.count), bytes: bytes)
    }
}

/// The content of a row, whatever columns its file has got since.
enum RowContent {
    /// SHA-256 of the content, in hex.
    static func sha256(_ row: CSVRow, _ header: ResultFile.Header) -> String {
        hexString(SHA256.hash(data: row.contentBytes(columns: header.columns.names)))
    }

    /// The name that the state remembers it by.
    static func hash(_ row: CSVRow, _ header: ResultFile.Header) -> RowHash {
        RowHash(sha256: SHA256.hash(data: row.contentBytes(columns: header.columns.names)))
    }
}
