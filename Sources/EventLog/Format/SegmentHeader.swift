/// The first line of each segment: `{"segment":1,"format":1,"first_seq":1,"previous_sha256":"…","crc":"…"}`.
public struct SegmentHeader: Sendable, Equatable {
    /// The newest format that this program reads and the one that it writes.
    public static let currentFormat: UInt64 = 1
    /// What stands for the previous segment's hash in the first one.
    public static let noPrevious = String(repeating: "0", count: 64)

    /// The segment's number: 1, 2, 3 …
    public var segment: UInt64
    /// The format of its lines.
    public var format: UInt64
    /// The position of its first event.
    public var first: LogPosition
    /// SHA-256 of the previous segment, from its header through its last newline, in hex.
    public var previousSHA256: String

    /// Makes a header in the current format.
    public init(segment: UInt64, first: LogPosition, previousSHA256: String) {
        self.segment = segment
        self.format = Self.currentFormat
        self.first = first
        self.previousSHA256 = previousSHA256
    }

    /// The number behind another one; the greatest stays what it is, so that a number made up in a file ends no reader.
    static func number(after number: UInt64) -> UInt64 { number == .max ? .max : number + 1 }

    /// The line with its newline.
    public func encoded() -> [UInt8] {
        var bytes = Array("{\"segment\":".utf8)
        appendDecimal(segment, to: &bytes)
        bytes.append(contentsOf: ",\"format\":".utf8)
        appendDecimal(format, to: &bytes)
        bytes.append(contentsOf: ",\"first_seq\":".utf8)
        appendDecimal(first.rawValue, to: &bytes)
        bytes.append(contentsOf: ",\"previous_sha256\":\"\(previousSHA256)\"".utf8)
        appendChecksum(from: 0, to: &bytes)
        return bytes
    }

    /// Whether a line is a header, by its first member; says nothing of its checksum.
    @inline(__always)
    static func looksLikeHeader(_ line: UnsafeBufferPointer<UInt8>) -> Bool {
        line.count > 11 && line[2] == 115 && line[3] == 101 && line[4] == 103
    }

    /// Reads a header line, without its newline. Nil: not one, or its checksum is wrong.
    /// Members that this format does not know are skipped.
    public init?(_ line: UnsafeBufferPointer<UInt8>) {
        guard Self.looksLikeHeader(line), LogLine.validChecksum(line) != nil else { return nil }
        var members = FrameMembers(line)
        var numbers: [String: UInt64] = [:]
        var previous: String?
        while let (key, value) = members.next() {
            if key == "previous_sha256" { previous = value.text } else if let n = value.number { numbers[key] = n }
        }
        guard let segment = numbers["segment"], let format = numbers["format"], let first = numbers["first_seq"],
            let previous
        else { return nil }
        self.segment = segment
        self.format = format
        self.first = LogPosition(first)
        self.previousSHA256 = previous
    }
}

/// Where repair took bytes out: `{"gap":{"first_seq":101,"last_seq":200,"sha256":"…","file":"…"},"crc":"…"}`.
public struct GapLine: Sendable, Equatable {
    /// The first position that is missing.
    public let first: LogPosition
    /// The last position that is missing.
    public let last: LogPosition
    /// SHA-256 of the bytes taken out, in hex.
    public let sha256: String
    /// The file that holds the bytes taken out, relative to the journal's directory.
    public let file: String

    /// Makes a line for events that are gone.
    public init(first: LogPosition, last: LogPosition, sha256: String, file: String) {
        precondition(first <= last, "a gap of no event")
        self.first = first
        self.last = last
        self.sha256 = sha256
        self.file = file
    }

    /// The line with its newline.
    public func encoded() -> [UInt8] {
        var bytes = Array("{\"gap\":{\"first_seq\":".utf8)
        appendDecimal(first.rawValue, to: &bytes)
        bytes.append(contentsOf: ",\"last_seq\":".utf8)
        appendDecimal(last.rawValue, to: &bytes)
        bytes.append(contentsOf: ",\"sha256\":\"\(sha256)\",\"file\":\"\(file)\"}".utf8)
        appendChecksum(from: 0, to: &bytes)
        return bytes
    }

    /// Reads a gap line, without its newline. Nil: not one, or its checksum is wrong.
    public init?(_ line: UnsafeBufferPointer<UInt8>) {
        guard line.count > 8, line[2] == 103, line[3] == 97, line[4] == 112, line[7] == 123,
            LogLine.validChecksum(line) != nil
        else { return nil }
        var members = FrameMembers(UnsafeBufferPointer(rebasing: line[7...]))
        var numbers: [String: UInt64] = [:]
        var texts: [String: String] = [:]
        while let (key, value) = members.next() {
            if let n = value.number { numbers[key] = n } else { texts[key] = value.text }
        }
        guard let first = numbers["first_seq"], let last = numbers["last_seq"], last >= first else { return nil }
        self.first = LogPosition(first)
        self.last = LogPosition(last)
        sha256 = texts["sha256"] ?? ""
        file = texts["file"] ?? ""
    }
}
