import EventLog

/// One row of a CSV file, with its place.
struct CSVRow: Equatable, Sendable {
    /// Where a field stands in `raw`.
    struct Field: Equatable, Sendable {
        /// The field's bytes, quotes included.
        let range: Range<Int>
        /// True when it begins with a quote.
        let isQuoted: Bool
    }

    /// Where the row begins in the file, in bytes.
    let offset: Int64
    /// The row as it stands, with its line end where it has one.
    let raw: [UInt8]
    /// The fields; one empty field for an empty line.
    let fields: [Field]
    /// False for what follows the last newline of a file.
    let isWhole: Bool
    /// True when a quote is open at the end; only where `isWhole` is false.
    let isQuoteOpen: Bool

    /// Where the row ends in the file, in bytes, behind its line end.
    var endOffset: Int64 { offset + Int64(raw.count) }

    /// True where a zero byte stands in the row: no program writes one into a CSV, but a write that lost blocks in a power loss
    /// leaves zeros in their place.
    var hasHole: Bool { raw.contains(0) }

    /// How many fields it has more than the header, and what stands in it: neither changes when a column is added to the
    /// header and to each row.
    func surplus(over columns: ResultColumns) -> String {
        let padding: Set<UInt8> = [CSVText.comma, CSVText.newline, CSVText.carriageReturn]
        var content = Hasher()
        for byte in raw.prefix(1 + (raw.lastIndex { !padding.contains($0) } ?? -1)) { content.combine(byte) }
        return "\(fields.count - columns.names.count) \(content.finalize())"
    }

    /// True for a line with nothing on it.
    var isBlank: Bool { fields.count == 1 && fields[0].range.isEmpty && !fields[0].isQuoted }

    /// True when CR stands outside of quotes with something else than LF behind it, as where CR alone ends lines.
    var hasBareReturn: Bool {
        var isQuoted = false
        for (index, byte) in raw.enumerated().dropLast() {
            if byte == CSVText.quote { isQuoted.toggle() }
            if byte == CSVText.carriageReturn, !isQuoted, raw[index + 1] != CSVText.newline { return true }
        }
        return false
    }

    /// A field's value, without quotes.
    func value(_ index: Int) -> [UInt8] {
        let field = fields[index]
        guard field.isQuoted else { return Array(raw[field.range]) }
        var value: [UInt8] = []
        value.reserveCapacity(field.range.count)
        var at = field.range.lowerBound + 1
        while at < field.range.upperBound {
            if raw[at] == CSVText.quote {
                at += 1
                // What follows a closing quote belongs to the value as it is, as Python's csv reads it.
                guard at < field.range.upperBound, raw[at] == CSVText.quote else {
                    value += raw[at..<field.range.upperBound]
                    break
                }
            }
            value.append(raw[at])
            at += 1
        }
        return value
    }

    /// A field's value as text; broken UTF-8 becomes U+FFFD.
    func text(_ index: Int) -> String { String(decoding: value(index), as: UTF8.self) }

    /// True when a field's value is these bytes; no copy is made where it has no quotes.
    func hasValue(_ bytes: some Collection<UInt8>, at index: Int) -> Bool {
        let field = fields[index]
        return field.isQuoted ? value(index).elementsEqual(bytes) : raw[field.range].elementsEqual(bytes)
    }

    /// The bytes that stay the same when the file's header grows: each value that is not empty with its column's
    /// name, in the header's order. What identifies a row for good is a hash of these.
    func contentBytes(columns: [[UInt8]]) -> [UInt8] {
        var content: [UInt8] = []
        content.reserveCapacity(raw.count * 2)
        for (index, column) in columns.enumerated() where index < fields.count {
            let value = value(index)
            guard !value.isEmpty else { continue }
            CSVText.appendField(column, to: &content)
            content.append(UInt8(ascii: "="))
            CSVText.appendField(value, to: &content)
            content.append(CSVText.newline)
        }
        for index in fields.indices.dropFirst(columns.count) {
            content.append(CSVText.comma)
            CSVText.appendField(value(index), to: &content)
        }
        return content
    }
}

/// Reads rows of CSV (RFC 4180) out of bytes that come piece by piece. A row ends with LF or CRLF; quotes may stand
/// around any field, and a line end inside of them is part of the value. Nothing is an error: what the standard does
/// not allow is read as Python's csv module reads it.
struct CSVReader {
    private enum State { case fieldStart, plain, quoted, quoteInQuoted }

    private var buffer: [UInt8] = []
    /// Where the row that is being read begins in `buffer`, and up to where it was looked at.
    private var rowStart = 0
    private var position = 0
    private var fieldStart = 0
    private var fieldIsQuoted = false
    private var state = State.fieldStart
    private var fields: [CSVRow.Field] = []
    private var bufferOffset: Int64

    /// Begins at a row that stands at `offset` in its file.
    init(offset: Int64 = 0) { bufferOffset = offset }

    /// Reads the whole text at once.
    init(_ text: [UInt8], offset: Int64 = 0) {
        self.init(offset: offset)
        feed(text)
    }

    /// Adds the bytes that follow those given before.
    mutating func feed(_ bytes: [UInt8]) {
        if rowStart > 0 {
            buffer.removeSubrange(..<rowStart)
            bufferOffset += Int64(rowStart)
            position -= rowStart
            fieldStart -= rowStart
            rowStart = 0
        }
        buffer += bytes
    }

    /// The next row that ends with a newline; nil when the bytes fed so far hold no other one.
    mutating func next() -> CSVRow? {
        // A second reference to the bytes, so that the state can change while they are looked at; gone before `feed`.
        let bytes = buffer
        var at = position
        var end: Int?
        while at < bytes.count {
            let byte = bytes[at]
            switch state {
            case .quoted:
                if byte == CSVText.quote { state = .quoteInQuoted }
            case .quoteInQuoted where byte == CSVText.quote:
                state = .quoted
            case .fieldStart where byte == CSVText.quote:
                state = .quoted
                fieldIsQuoted = true
            default:
                if byte == CSVText.comma {
                    endField(at: at)
                } else if byte == CSVText.newline {
                    let hasReturn = at > fieldStart && bytes[at - 1] == CSVText.carriageReturn
                    endField(at: hasReturn ? at - 1 : at)
                    end = at + 1
                } else {
                    state = .plain
                }
            }
            if end != nil { break }
            at += 1
        }
        guard let end else {
            position = buffer.count
            return nil
        }
        let row = row(upTo: end)
        fields = []
        rowStart = end
        position = end
        fieldStart = end
        return row
    }

    /// What follows the last whole row; nil when nothing does. Call it when `next` has returned nil.
    var tail: CSVRow? {
        guard rowStart < buffer.count else { return nil }
        var copy = self
        copy.endField(at: buffer.count)
        return CSVRow(
            offset: bufferOffset + Int64(rowStart), raw: Array(buffer[rowStart...]), fields: copy.fields,
            isWhole: false,
            isQuoteOpen: state == .quoted)
    }

    /// Where the bytes fed so far end in the file.
    var endOffset: Int64 { bufferOffset + Int64(buffer.count) }

    private mutating func endField(at end: Int) {
        fields.append(CSVRow.Field(range: (fieldStart - rowStart)..<(end - rowStart), isQuoted: fieldIsQuoted))
        fieldStart = end + 1
        fieldIsQuoted = false
        state = .fieldStart
    }

    private func row(upTo end: Int) -> CSVRow {
        CSVRow(
            offset: bufferOffset + Int64(rowStart), raw: Array(buffer[rowStart..<end]), fields: fields, isWhole: true,
            isQuoteOpen: false)
    }
}

/// Reads the rows of an open CSV file from an offset at which a row begins, 1 MiB at a time.
struct CSVFileReader {
    private static let pieceBytes = 1 << 20

    private let file: any File
    private let end: Int64
    private var reader: CSVReader

    /// Begins at `offset`; bytes from `end` on are not looked at.
    init(_ file: any File, from offset: Int64, to end: Int64) {
        self.file = file
        self.end = end
        reader = CSVReader(offset: offset)
    }

    /// The next whole row; nil when there is no other one before the end.
    mutating func next() throws(FileError) -> CSVRow? {
        while true {
            if let row = reader.next() { return row }
            let left = end - reader.endOffset
            guard left > 0 else { return nil }
            let piece = try readBytes(of: file, at: reader.endOffset, count: Int(min(left, Int64(Self.pieceBytes))))
            // The file was cut meanwhile: what is left of it is all there is.
            if piece.isEmpty { return nil }
            reader.feed(piece)
        }
    }

    /// What follows the last whole row; nil when nothing does. Call it when `next` has returned nil.
    var tail: CSVRow? { reader.tail }

    /// Where what was read ends in the file.
    var endOffset: Int64 { reader.endOffset }
}
