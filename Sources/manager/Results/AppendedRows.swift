import Crypto
import EventLog

/// Reads the whole rows of a file from a place at which a row begins, and hashes what it has passed.
///
/// A last row without newline is not read. One that is longer than 4 MiB is passed over, so that a quote that nobody
/// closed costs one line and not the rest of the file: its first line is left out, and reading goes on behind it.
struct AppendedRows {
    /// What stands next in the file.
    enum Item {
        /// A whole row.
        case row(CSVRow)
        /// A line that begins a row of more than 4 MiB, at this offset.
        case tooLong(offset: Int64)
    }

    /// The longest row that is read, in bytes.
    static let maximumRowBytes = 4 << 20
    private static let pieceBytes = 1 << 20

    private let file: any File
    private let end: Int64
    private var reader: CSVReader
    /// Everything before it has been passed and hashed; a row begins there.
    private(set) var position: Int64
    /// SHA-256 of the file's bytes up to `position`.
    private(set) var hash: SHA256
    /// How many rows stand before `position`; a line that was passed over counts as one.
    private(set) var rowCount: Int

    /// Begins at `position`, up to which the file has the hash and so many rows; bytes from `end` on are not read.
    init(_ file: any File, from position: Int64, to end: Int64, hash: SHA256, rowCount: Int) {
        self.file = file
        self.end = end
        self.position = position
        self.hash = hash
        self.rowCount = rowCount
        reader = CSVReader(offset: position)
    }

    /// The next row; nil where there is no other whole one before the end.
    mutating func next() throws(FileError) -> Item? {
        while true {
            if let row = reader.next() {
                pass(row.raw)
                return .row(row)
            }
            if reader.endOffset - position > Int64(Self.maximumRowBytes) { return try passLongLine() }
            let left = end - reader.endOffset
            guard left > 0 else { return nil }
            let piece = try readBytes(of: file, at: reader.endOffset, count: Int(min(left, Int64(Self.pieceBytes))))
            // Cut meanwhile: the next look finds it shorter.
            if piece.isEmpty { return nil }
            reader.feed(piece)
        }
    }

    /// Passes the first line of a row that is too long; nil where the line has no end yet.
    private mutating func passLongLine() throws(FileError) -> Item? {
        let offset = position
        var line = reader.tail?.raw ?? []
        if let newline = line.firstIndex(of: CSVText.newline) {
            pass(line[...newline])
            reader = CSVReader(Array(line[(newline + 1)...]), offset: position)
            return .tooLong(offset: offset)
        }
        var (trial, at) = (hash, position)
        while true {
            trial.update(data: line)
            at += Int64(line.count)
            guard at < end else { return nil }
            line = try readBytes(of: file, at: at, count: Int(min(end - at, Int64(Self.pieceBytes))))
            if line.isEmpty { return nil }
            guard let newline = line.firstIndex(of: CSVText.newline) else { continue }
            trial.update(data: line[...newline])
            hash = trial
            position = at + Int64(newline) + 1
            rowCount += 1
            reader = CSVReader(Array(line[(newline + 1)...]), offset: position)
            return .tooLong(offset: offset)
        }
    }

    /// What follows the last whole row that was read, as far as it was looked at; nil when nothing does. Call it when
    /// `next` has returned nil.
    var tail: CSVRow? { reader.tail }

    private mutating func pass(_ bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes)
        hash.update(data: bytes)
        position += Int64(bytes.count)
        rowCount += 1
    }
}
