import CScan

/// Appends text as a JSON string: quotes, backslashes and control characters escaped, everything else as it is.
public func appendJSONString(_ text: some Collection<UInt8>, to bytes: inout [UInt8]) {
    bytes.append(34)
    let isPlain = text.withContiguousStorageIfAvailable { plain -> Bool in
        guard plain.allSatisfy({ $0 >= 32 && $0 != 34 && $0 != 92 }) else { return false }
        bytes.append(contentsOf: plain)
        return true
    }
    if isPlain != true {
        for byte in text { appendEscaped(byte, to: &bytes) }
    }
    bytes.append(34)
}

/// Appends a string as JSON.
public func appendJSONString(_ text: String, to bytes: inout [UInt8]) {
    appendJSONString(text.utf8, to: &bytes)
}

/// Appends an array of strings as JSON.
public func appendJSONStrings(_ texts: [String], to bytes: inout [UInt8]) {
    bytes.append(91)
    for (index, text) in texts.enumerated() {
        if index > 0 { bytes.append(44) }
        appendJSONString(text, to: &bytes)
    }
    bytes.append(93)
}

/// Appends a signed number in decimal.
public func appendJSONInteger(_ value: Int64, to bytes: inout [UInt8]) {
    if value < 0 { bytes.append(45) }
    var digits: [UInt8] = []
    var rest = value.magnitude
    repeat {
        digits.append(48 + UInt8(truncatingIfNeeded: rest % 10))
        rest /= 10
    } while rest > 0
    bytes.append(contentsOf: digits.reversed())
}

/// Appends a number in the shortest form that reads back the same; whole numbers without a fraction.
public func appendJSONNumber(_ value: Double, to bytes: inout [UInt8]) {
    if value == value.rounded(), abs(value) < 1e15 {
        appendJSONInteger(Int64(value), to: &bytes)
    } else {
        bytes.append(contentsOf: "\(value)".utf8)
    }
}

private func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
    switch byte {
    case 34: bytes.append(contentsOf: [92, 34])
    case 92: bytes.append(contentsOf: [92, 92])
    case 10: bytes.append(contentsOf: [92, 110])
    case 13: bytes.append(contentsOf: [92, 114])
    case 9: bytes.append(contentsOf: [92, 116])
    case 0..<32:
        let hex = Array("0123456789abcdef".utf8)
        bytes.append(contentsOf: [92, 117, 48, 48, hex[Int(byte >> 4)], hex[Int(byte & 15)]])
    default: bytes.append(byte)
    }
}

/// The bytes of a JSON string's inside with its escapes resolved (RFC 8259); a lone surrogate becomes U+FFFD.
public func unescapedJSON(_ inside: UnsafeBufferPointer<UInt8>) -> [UInt8] {
    var out: [UInt8] = []
    out.reserveCapacity(inside.count)
    var at = 0
    func hex4(_ start: Int) -> UInt32? {
        guard start + 4 <= inside.count else { return nil }
        return UInt32(String(decoding: inside[start..<(start + 4)], as: UTF8.self), radix: 16)
    }
    while at < inside.count {
        let byte = inside[at]
        guard byte == 92, at + 1 < inside.count else {
            out.append(byte)
            at += 1
            continue
        }
        at += 2
        switch inside[at - 1] {
        case 110: out.append(10)
        case 114: out.append(13)
        case 116: out.append(9)
        case 98: out.append(8)
        case 102: out.append(12)
        case 117:
            var scalar = hex4(at) ?? 0xFFFD
            at += 4
            if (0xD800..<0xDC00).contains(scalar), at + 6 <= inside.count, inside[at] == 92, inside[at + 1] == 117,
                let low = hex4(at + 2), (0xDC00..<0xE000).contains(low)
            {
                scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                at += 6
            }
            let text = Unicode.Scalar(scalar) ?? Unicode.Scalar(0xFFFD as UInt16) ?? " "
            out.append(contentsOf: String(Character(text)).utf8)
        case let other: out.append(other)
        }
    }
    return out
}
