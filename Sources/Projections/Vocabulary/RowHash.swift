/// Names a row of a result file by its content: the first 64 bits of the SHA-256 that its `completed` event carries.
///
/// 64 bits are enough: among a million rows two are mistaken for each other once in 37 million such sets.
public struct RowHash: Sendable, Hashable {
    /// The first eight bytes of the SHA-256, the first one highest.
    public let bits: UInt64

    /// Takes the bits as they are.
    public init(bits: UInt64) { self.bits = bits }

    /// Takes the first eight bytes of a hash. Fewer are filled with zeros.
    public init(sha256 bytes: some Sequence<UInt8>) {
        var bits: UInt64 = 0
        var count = 0
        for byte in bytes {
            guard count < 8 else { break }
            bits = bits << 8 | UInt64(byte)
            count += 1
        }
        self.bits = count == 0 ? 0 : bits << UInt64(8 * (8 - count))
    }

    /// Reads the first 16 digits of a hash in lower-case hex; nil where they are none.
    public init?(hex digits: some Collection<UInt8>) {
        var bits: UInt64 = 0
        var count = 0
        for digit in digits {
            guard count < 16 else { break }
            switch digit {
            case 48...57: bits = bits << 4 | UInt64(digit - 48)
            case 97...102: bits = bits << 4 | UInt64(digit - 87)
            default: return nil
            }
            count += 1
        }
        guard count == 16 else { return nil }
        self.bits = bits
    }

    /// Appends the 16 digits in lower-case hex.
    func appendHex(to out: inout [UInt8]) {
        for shift in stride(from: 60, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: bits >> UInt64(shift) & 15)
            out.append(digit < 10 ? 48 + digit : 87 + digit)
        }
    }
}
