import CZlib

/// One member of a sealed segment: an ordinary gzip member (RFC 1952) whose header has the extra subfield `EL`.
///
/// The subfield is 24 bytes, little-endian: the member's whole length, the position of its first event, and that
/// event's time in microseconds since 1970. So a reader hops from member to member without inflating.
struct GzipMember {
    /// The bytes of lines that a member is cut at, at the next line end.
    static let targetBytes = 256 << 10
    /// zlib's best level; such members say so (XFL 2, RFC 1952), and are not compressed again.
    static let bestLevel: Int32 = 9
    /// The header's size with the extra field.
    static let headerBytes = 40

    /// What the extra field says.
    struct Entry: Equatable {
        /// The member's length in the file, header and trailer included.
        var bytes: Int
        /// The position of its first event.
        var first: LogPosition
        /// The time of its first event.
        var time: LogTime
        /// True where it was compressed at the best level.
        var isBest = false
    }

    /// What the member that begins with these bytes says of itself; nil for another maker's member.
    static func entry(_ b: UnsafeBufferPointer<UInt8>) -> Entry? {
        guard b.count >= headerBytes, b[0] == 0x1F, b[1] == 0x8B, b[2] == 8, b[3] == 4, b[10] == 28, b[11] == 0,
            b[12] == 0x45, b[13] == 0x4C, b[14] == 24, b[15] == 0
        else { return nil }
        func number(_ at: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(b[at + $1]) << UInt64(8 * $1) } }
        let bytes = number(16)
        guard bytes >= UInt64(headerBytes + 8), bytes < 1 << 40 else { return nil }
        return Entry(
            bytes: Int(bytes), first: LogPosition(number(24)),
            time: LogTime(microseconds: Int64(bitPattern: number(32))), isBest: b[8] == 2)
    }

    /// Compresses whole lines into one member. `level` is zlib's 1 to 9.
    static func compress(
        _ lines: UnsafeBufferPointer<UInt8>, first: LogPosition, time: LogTime, level: Int32
    ) -> [UInt8] {
        var stream = z_stream()
        // Raw deflate; the frame is ours. -15: the largest window.
        precondition(czlib_deflate_init2(&stream, level, -15) == Z_OK, "zlib cannot start: out of memory")
        defer { deflateEnd(&stream) }
        let bound = Int(deflateBound(&stream, UInt(lines.count)))
        var member = [UInt8](repeating: 0, count: headerBytes + bound + 8)
        let produced = member.withUnsafeMutableBufferPointer { out -> Int in
            stream.next_in = UnsafeMutablePointer(mutating: lines.baseAddress)
            stream.avail_in = UInt32(lines.count)
            stream.next_out = out.baseAddress?.advanced(by: headerBytes)
            stream.avail_out = UInt32(bound)
            let status = deflate(&stream, Z_FINISH)
            precondition(status == Z_STREAM_END, "deflate left \(stream.avail_in) bytes within its own bound")
            return bound - Int(stream.avail_out)
        }
        member.removeLast(bound - produced)
        func put(_ value: UInt64, _ size: Int, at: Int) {
            for i in 0..<size { member[at + i] = UInt8(truncatingIfNeeded: value >> UInt64(8 * i)) }
        }
        let effort: UInt8 = level == bestLevel ? 2 : 0
        member.replaceSubrange(0..<16, with: [0x1F, 0x8B, 8, 4, 0, 0, 0, 0, effort, 255, 28, 0, 0x45, 0x4C, 24, 0])
        put(UInt64(member.count), 8, at: 16)
        put(first.rawValue, 8, at: 24)
        put(UInt64(bitPattern: time.microseconds), 8, at: 32)
        put(UInt64(crc32(0, lines.baseAddress, UInt32(lines.count))), 4, at: member.count - 8)
        put(UInt64(lines.count), 4, at: member.count - 4)
        return member
    }
}

/// Any bytes as one gzip member; members one after the other are one gzip file.
public func gzipMember(_ bytes: [UInt8]) -> [UInt8] {
    bytes.withUnsafeBufferPointer {
        GzipMember.compress($0, first: .zero, time: LogTime(microseconds: 0), level: 6)
    }
}
