import CScan
import EventLog

/// A JSON value in text whose checksum has been found right: taken apart without validating and without copies.
///
/// Valid as long as the text's bytes are. For text that anybody may have written there is `JSONReader`.
struct TrustedJSON {
    /// The value's bytes.
    let bytes: UnsafeBufferPointer<UInt8>
    /// True for a string with a backslash in it.
    private let isEscaped: Bool

    init(_ member: cscan_member) {
        bytes = UnsafeBufferPointer(start: member.value, count: member.value_size)
        isEscaped = member.value_is_escaped != 0
    }

    private init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        isEscaped = bytes.contains(92)
    }

    /// True for `null`.
    var isNull: Bool { bytes.first == 110 }

    /// True for `true`.
    var isTrue: Bool { bytes.first == 116 }

    /// Lends a string's text, without its quotes and with its escapes resolved; nil for other kinds.
    @inline(__always)
    func withText<R>(_ body: (UnsafeBufferPointer<UInt8>) -> R) -> R? {
        guard bytes.count >= 2, bytes[0] == 34, let base = bytes.baseAddress else { return nil }
        let inside = UnsafeBufferPointer(start: base + 1, count: bytes.count - 2)
        return isEscaped ? unescapedJSON(inside).withUnsafeBufferPointer(body) : body(inside)
    }

    /// A string's text; nil for other kinds.
    var text: String? { withText { String(decoding: $0, as: UTF8.self) } }

    /// A whole number; nil for other kinds.
    var integer: Int64? {
        guard let first = bytes.first else { return nil }
        let isNegative = first == 45
        var number: Int64 = 0
        var at = isNegative ? 1 : 0
        guard at < bytes.count else { return nil }
        while at < bytes.count {
            let digit = bytes[at] &- 48
            guard digit <= 9 else { return nil }
            let (scaled, over) = number.multipliedReportingOverflow(by: 10)
            let (sum, more) = scaled.addingReportingOverflow(Int64(digit))
            guard !over, !more else { return nil }
            number = sum
            at += 1
        }
        return isNegative ? -number : number
    }

    /// The moment in a string; nil for null. Throws for anything else.
    func time() throws(JSONError) -> Int64? {
        if isNull { return nil }
        guard let time = LogTime(jsonString: bytes) else { throw JSONError("no time", offset: 0) }
        return time.microseconds
    }

    /// Calls `body` with each member of an object.
    func forEachMember(_ body: (cscan_member) throws(JSONError) -> Void) throws(JSONError) {
        guard bytes.count >= 2, bytes[0] == 123, let base = bytes.baseAddress else {
            throw JSONError("an object is due", offset: 0)
        }
        var p = base + 1
        let end = base + bytes.count - 1
        var member = cscan_member()
        while p < end {
            guard let next = cscan_member(p, end, &member) else { throw JSONError("a member is broken", offset: 0) }
            try body(member)
            p = next
        }
    }

    /// Calls `body` with each element of an array.
    func forEachElement(_ body: (TrustedJSON) throws(JSONError) -> Void) throws(JSONError) {
        guard bytes.count >= 2, bytes[0] == 91, let base = bytes.baseAddress else {
            throw JSONError("an array is due", offset: 0)
        }
        var p = base + 1
        let end = base + bytes.count - 1
        while p < end {
            guard let behind = cscan_value_end(p, end) else { throw JSONError("an element is broken", offset: 0) }
            try body(TrustedJSON(UnsafeBufferPointer(start: p, count: behind - p)))
            p = behind < end ? behind + 1 : end
        }
    }
}

extension cscan_member {
    /// The member of a span behind the byte that it counts from.
    @inline(__always)
    init(_ span: cscan_span, behind base: UnsafePointer<UInt8>) {
        self.init(
            key: base + Int(span.key), key_size: Int(span.key_size), key_word: span.key_word,
            value: base + Int(span.value), value_size: Int(span.value_size),
            value_is_escaped: Int32(span.value_is_escaped))
    }

    /// A key's first eight bytes as one number, as `key_word` holds them.
    @inline(__always)
    static func word(_ key: StaticString) -> UInt64 {
        var word: UInt64 = 0
        for at in 0..<min(8, key.utf8CodeUnitCount) { word |= UInt64(key.utf8Start[at]) << UInt64(8 * at) }
        return UInt64(littleEndian: word)
    }

    /// Whether this is the key.
    @inline(__always)
    func isKey(_ name: StaticString) -> Bool {
        guard key_size == name.utf8CodeUnitCount, key_word == Self.word(name) else { return false }
        var at = 8
        while at < key_size {
            if key[at] != name.utf8Start[at] { return false }
            at += 1
        }
        return true
    }
}
