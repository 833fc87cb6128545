/// Finds where a gzip member's data begin behind its header (RFC 1952, section 2.3).
enum GzipFrame {
    /// What the first bytes of a member are.
    enum Header: Equatable {
        /// The data begin after so many bytes.
        case whole(Int)
        /// More bytes are needed to tell.
        case short
        /// Not a gzip member.
        case foreign
    }

    /// Reads a member's header at the beginning of `bytes`.
    static func header(_ bytes: UnsafeBufferPointer<UInt8>) -> Header {
        guard bytes.count >= 10 else {
            let magic: [UInt8] = [0x1F, 0x8B, 8]
            return zip(bytes, magic).allSatisfy({ $0 == $1 }) ? .short : .foreign
        }
        guard bytes[0] == 0x1F, bytes[1] == 0x8B, bytes[2] == 8, bytes[3] & 0xE0 == 0 else { return .foreign }
        let flags = bytes[3]
        var at = 10
        if flags & 4 != 0 {
            guard bytes.count >= at + 2 else { return .short }
            at += 2 + Int(bytes[at]) + Int(bytes[at + 1]) << 8
        }
        for text in [UInt8(8), 16] where flags & text != 0 {
            guard at <= bytes.count, let zero = bytes[at...].firstIndex(of: 0) else { return .short }
            at = zero + 1
        }
        if flags & 2 != 0 { at += 2 }
        return at <= bytes.count ? .whole(at) : .short
    }
}
