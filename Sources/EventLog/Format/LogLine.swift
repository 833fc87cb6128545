import CScan

/// One event's line as it stands in the journal, found whole and with a right checksum.
///
/// Points into a reader's buffer: valid only while the closure that received it runs.
public struct LogLine {
    /// The event's position.
    public let position: LogPosition
    /// The event's time.
    public let time: LogTime
    /// The checksum at its end.
    public let crc: UInt32
    /// True on every event of a command but its last.
    public let hasMore: Bool
    /// The line without its newline.
    public let bytes: UnsafeBufferPointer<UInt8>
    /// Where the members after `time` begin in `bytes`: at the quote of `"type"`.
    public let bodyStart: Int
    /// The places of the members after `time`, each behind the line's first byte; empty where they were not looked up.
    public let spans: UnsafeBufferPointer<cscan_span>

    /// The members from `"type"` up to the checksum, without braces.
    @inline(__always)
    public var body: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(rebasing: bytes[bodyStart..<(bytes.count - LogLine.checksumBytes)])
    }

    /// The bytes of `,"crc":"xxxxxxxx"}`.
    static let checksumBytes = 18

    /// The position up to which the journal was durable when the write that begins with this event began;
    /// nil on every other event of a write, and in journals of makers who leave it out.
    public var synced: LogPosition? { Self.synced(in: bytes, hasMore: hasMore) }

    /// Reads a line; `bytes` is without the newline. Nil: the checksum or the frame is wrong.
    @inline(__always)
    public init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        guard let base = bytes.baseAddress, bytes.count >= 63, let crc = Self.validChecksum(bytes) else { return nil }
        // {"seq":N,"time":"2025-12-19T23:10:15.123456Z","type"…
        guard base[0] == 123, base[1] == 34, base[2] == 115, base[3] == 101, base[4] == 113, base[5] == 34,
            base[6] == 58
        else { return nil }
        var at = 7
        var seq: UInt64 = 0
        while at < 27 {
            let digit = base[at] &- 48
            if digit > 9 { break }
            seq = seq &* 10 &+ UInt64(digit)
            at += 1
        }
        // ,"time":" is 9 bytes, the time 27, its quote and the comma 2.
        guard at > 7, at + 9 + 27 + 2 < bytes.count - Self.checksumBytes, base[at] == 44, base[at + 1] == 34,
            base[at + 2] == 116, base[at + 7] == 58, base[at + 8] == 34, let time = LogTime(written: base + at + 9),
            base[at + 36] == 34, base[at + 37] == 44
        else { return nil }
        self.position = LogPosition(seq)
        self.time = time
        self.crc = crc
        self.bytes = bytes
        self.bodyStart = at + 38
        self.spans = UnsafeBufferPointer(start: nil, count: 0)
        let end = bytes.count - Self.checksumBytes
        // ,"more":true
        self.hasMore =
            base[end - 1] == 101 && base[end - 12] == 44 && base[end - 11] == 34 && base[end - 10] == 109
            && base[end - 6] == 34 && base[end - 5] == 58 && base[end - 4] == 116
    }

    /// A line that was read before, again.
    @inline(__always)
    init(
        _ entry: CheckedLines.Entry, in buffer: UnsafeBufferPointer<UInt8>, _ spans: UnsafeBufferPointer<cscan_span>
    ) {
        position = entry.position
        time = entry.time
        crc = entry.crc
        hasMore = entry.hasMore
        bytes = UnsafeBufferPointer(
            rebasing: buffer[Int(entry.offset)..<(Int(entry.offset) + Int(entry.count))])
        bodyStart = Int(entry.bodyStart)
        let first = Int(entry.firstSpan)
        self.spans = UnsafeBufferPointer(rebasing: spans[first..<(first + Int(entry.spanCount))])
    }

    /// The checksum at a line's end where it is right; nil otherwise.
    @inline(__always)
    static func validChecksum(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32? {
        guard let base = bytes.baseAddress, bytes.count > checksumBytes else { return nil }
        let at = bytes.count - checksumBytes
        guard base[at] == 44, base[at + 1] == 34, base[at + 2] == 99, base[at + 3] == 114, base[at + 4] == 99,
            base[at + 5] == 34, base[at + 6] == 58, base[at + 7] == 34, base[at + 16] == 34, base[at + 17] == 125,
            let stated = checksum(hex: base + at + 8), cscan_crc32c(base, at) == stated
        else { return nil }
        return stated
    }

    private static func synced(in bytes: UnsafeBufferPointer<UInt8>, hasMore: Bool) -> LogPosition? {
        var at = bytes.count - checksumBytes - (hasMore ? 12 : 0)
        var value: UInt64 = 0
        var scale: UInt64 = 1
        var digits = 0
        while at > 0, case let digit = bytes[at - 1] &- 48, digit <= 9, digits < 20 {
            value = value &+ UInt64(digit) &* scale
            scale = scale &* 10
            digits += 1
            at -= 1
        }
        let key = Array(",\"synced\":".utf8)
        guard digits > 0, at >= key.count, (0..<key.count).allSatisfy({ bytes[at - key.count + $0] == key[$0] })
        else { return nil }
        return LogPosition(value)
    }
}

/// The events of one command, encoded: each the members from `"type"` on, without braces.
public struct EncodedCommand: Sendable {
    /// The bodies, one after the other.
    public private(set) var bytes: [UInt8] = []
    /// Where each body ends in `bytes`.
    public private(set) var ends: [Int] = []

    /// Makes an empty command.
    public init() {}

    /// How many events there are.
    public var count: Int { ends.count }

    /// Adds one event; `write` appends its body's members.
    public mutating func append(_ write: (inout [UInt8]) -> Void) {
        write(&bytes)
        ends.append(bytes.count)
    }

    /// The range of the n-th body in `bytes`.
    public func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }

    /// Forgets the events but keeps the room.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
    }
}

/// Appends one event's line: frame, body, `synced`, `more`, checksum, newline. Returns the checksum.
func appendLine(
    position: LogPosition, time: LogTime, body: UnsafeBufferPointer<UInt8>, synced: LogPosition?, hasMore: Bool,
    to bytes: inout [UInt8]
) -> UInt32 {
    let start = bytes.count
    bytes.append(contentsOf: StaticBytes.seq)
    appendDecimal(position.rawValue, to: &bytes)
    bytes.append(contentsOf: StaticBytes.time)
    time.append(to: &bytes)
    bytes.append(34)
    bytes.append(44)
    bytes.append(contentsOf: body)
    if let synced {
        bytes.append(contentsOf: StaticBytes.synced)
        appendDecimal(synced.rawValue, to: &bytes)
    }
    if hasMore { bytes.append(contentsOf: StaticBytes.more) }
    return appendChecksum(from: start, to: &bytes)
}

/// Appends `,"crc":"…"}` and a newline for the bytes from `start` on. Returns the checksum.
@discardableResult
func appendChecksum(from start: Int, to bytes: inout [UInt8]) -> UInt32 {
    let crc = bytes.withUnsafeBufferPointer { crc32c(UnsafeBufferPointer(rebasing: $0[start...])) }
    bytes.append(contentsOf: StaticBytes.crc)
    bytes.append(contentsOf: hexDigits(of: crc))
    bytes.append(34)
    bytes.append(125)
    bytes.append(10)
    return crc
}

/// Appends a number in decimal.
public func appendDecimal(_ value: UInt64, to bytes: inout [UInt8]) {
    if value < 10 {
        bytes.append(48 + UInt8(truncatingIfNeeded: value))
        return
    }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
        var at = 20
        var rest = value
        while rest > 0 {
            at -= 1
            digits[at] = 48 + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        bytes.append(contentsOf: digits[at..<20])
    }
}

private enum StaticBytes {
    static let seq = Array("{\"seq\":".utf8)
    static let time = Array(",\"time\":\"".utf8)
    static let synced = Array(",\"synced\":".utf8)
    static let more = Array(",\"more\":true".utf8)
    static let crc = Array(",\"crc\":\"".utf8)
}
