/// The members of a compact JSON object, one after the other, with their values as they stand.
///
/// For objects that were checked when they came in: commas, colons and the closing brace are required, but what a
/// value is made of is not looked into.
struct JSONMembers {
    /// One member.
    struct Member {
        /// The key between its quotes, escapes and all.
        let rawKey: Range<Int>
        /// The value.
        let value: Range<Int>
        /// True when the key has an escape.
        let hasEscapedKey: Bool
    }

    /// The text is no JSON object.
    struct Malformed: Error, Equatable, Sendable, CustomStringConvertible {
        /// Where it is not, in bytes.
        let offsetBytes: Int
        /// One sentence.
        var description: String { "no JSON object: byte \(offsetBytes) is not what must stand there" }
    }

    /// The object's text.
    let bytes: [UInt8]
    private var at = 0

    /// Begins with the first member.
    init(_ object: [UInt8]) { bytes = object }

    /// The next member; nil at the object's end.
    mutating func next() throws(Malformed) -> Member? {
        if at == 0 {
            try expect(UInt8(ascii: "{"))
            if at < bytes.count, bytes[at] == UInt8(ascii: "}") { return try finish() }
        } else if at == bytes.count {
            return nil
        } else if bytes[at] == UInt8(ascii: "}") {
            return try finish()
        } else {
            try expect(UInt8(ascii: ","))
        }
        let keyStart = at + 1
        let hasEscapedKey = try skipString()
        let rawKey = keyStart..<(at - 1)
        try expect(UInt8(ascii: ":"))
        let valueStart = at
        try skipValue()
        return Member(rawKey: rawKey, value: valueStart..<at, hasEscapedKey: hasEscapedKey)
    }

    /// A member's key, decoded.
    func key(of member: Member) -> [UInt8] {
        let raw = bytes[member.rawKey]
        return member.hasEscapedKey ? JSONStringText.decode(raw) ?? Array(raw) : Array(raw)
    }

    private mutating func finish() throws(Malformed) -> Member? {
        at += 1
        guard at == bytes.count else { throw Malformed(offsetBytes: at) }
        return nil
    }

    private mutating func expect(_ byte: UInt8) throws(Malformed) {
        guard at < bytes.count, bytes[at] == byte else { throw Malformed(offsetBytes: at) }
        at += 1
    }

    /// Goes behind the string's closing quote; true when it has an escape.
    private mutating func skipString() throws(Malformed) -> Bool {
        try expect(UInt8(ascii: "\""))
        var hasEscape = false
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                at += 1
                return hasEscape
            case UInt8(ascii: "\\"):
                hasEscape = true
                at += 2
            default: at += 1
            }
        }
        throw Malformed(offsetBytes: bytes.count)
    }

    private mutating func skipValue() throws(Malformed) {
        let start = at
        var depth = 0
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\""):
                _ = try skipString()
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "]") where depth > 0: depth -= 1
            case UInt8(ascii: "}") where depth > 0: depth -= 1
            case UInt8(ascii: "]"): throw Malformed(offsetBytes: at)
            case UInt8(ascii: ","), UInt8(ascii: "}"):
                if depth == 0 {
                    guard at > start else { throw Malformed(offsetBytes: at) }
                    return
                }
            default: break
            }
            at += 1
        }
        throw Malformed(offsetBytes: bytes.count)
    }
}
