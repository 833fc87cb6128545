import CScan

/// CRC-32C (Castagnoli, RFC 3720): the checksum at the end of every line.
public func crc32c(_ bytes: UnsafeBufferPointer<UInt8>) -> UInt32 {
    cscan_crc32c(bytes.baseAddress, bytes.count)
}

/// CRC-32C of an array.
public func crc32c(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBufferPointer { crc32c($0) }
}

/// The eight lower-case hex digits of a checksum.
public func hexDigits(of crc: UInt32) -> [UInt8] {
    (0..<8).map { hexDigit(UInt8(truncatingIfNeeded: crc >> UInt32(28 - 4 * $0)) & 15) }
}

/// The value of eight lower-case hex digits; nil where there are others.
@inline(__always)
func checksum(hex p: UnsafePointer<UInt8>) -> UInt32? {
    var value: UInt32 = 0
    for i in 0..<8 {
        let c = p[i]
        let digit: UInt8
        switch c {
        case 48...57: digit = c &- 48
        case 97...102: digit = c &- 87
        default: return nil
        }
        value = value << 4 | UInt32(digit)
    }
    return value
}

/// Lower-case hex of any bytes, as SHA-256 is written.
public func hexString(_ bytes: some Sequence<UInt8>) -> String {
    var text: [UInt8] = []
    for byte in bytes {
        text.append(hexDigit(byte >> 4))
        text.append(hexDigit(byte & 15))
    }
    return String(decoding: text, as: UTF8.self)
}

@inline(__always)
private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? 48 + value : 87 + value }
