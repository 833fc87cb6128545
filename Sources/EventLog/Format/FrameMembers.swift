import CScan

/// The top-level members of a JSON object in a line whose checksum is right: headers, gap lines, the lock's line.
struct FrameMembers {
    /// One member's value, raw.
    struct Value {
        let bytes: UnsafeBufferPointer<UInt8>

        /// The value as an unsigned whole number; nil for anything else.
        var number: UInt64? { UInt64(String(decoding: bytes, as: UTF8.self)) }

        /// The value as text without escapes; nil where it is no string.
        var text: String? {
            guard bytes.count >= 2, bytes[0] == 34 else { return nil }
            return String(decoding: bytes[1..<(bytes.count - 1)], as: UTF8.self)
        }
    }

    private var rest: UnsafeBufferPointer<UInt8>

    /// `object` begins with the opening brace; what follows the closing one is not looked at.
    init(_ object: UnsafeBufferPointer<UInt8>) {
        rest = UnsafeBufferPointer(rebasing: object.dropFirst())
    }

    /// The next member; nil at the object's end or where its form is broken.
    mutating func next() -> (key: String, value: Value)? {
        guard let base = rest.baseAddress, rest.first == 34 else { return nil }
        let end = base + rest.count
        guard let keyEnd = cscan_value_end(base, end), keyEnd < end, keyEnd.pointee == 58,
            let valueEnd = cscan_value_end(keyEnd + 1, end)
        else { return nil }
        let key = String(decoding: UnsafeBufferPointer(start: base + 1, count: keyEnd - base - 2), as: UTF8.self)
        let value = Value(bytes: UnsafeBufferPointer(start: keyEnd + 1, count: valueEnd - keyEnd - 1))
        let more = valueEnd < end && valueEnd.pointee == 44
        rest = UnsafeBufferPointer(start: valueEnd + (more ? 1 : 0), count: more ? end - valueEnd - 1 : 0)
        return (key, value)
    }
}
