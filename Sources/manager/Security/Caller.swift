import Crypto
import EventLog

/// What somebody may do. Each role may do what those before it may.
enum Role: String, Sendable, CaseIterable, Comparable {
    /// Reads.
    case viewer
    /// Reads, takes tasks and reports of them.
    case worker
    /// Everything.
    case operator_ = "operator"

    static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .viewer: 0
        case .worker: 1
        case .operator_: 2
        }
    }

    /// All words, for messages.
    static var words: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

/// Who asks, where tokens are configured: a token's name and role.
struct Caller: Sendable, Equatable {
    /// The token's name; the `actor` of events.
    let name: String
    let role: Role
    /// The token's hash, by which it is looked up again when the file has changed.
    let digest: TokenDigest
}

/// The SHA-256 of a token. Only this is stored; equality takes the same time wherever two differ.
struct TokenDigest: Sendable, Equatable, CustomStringConvertible {
    private let bytes: [UInt8]

    /// Hashes a token.
    init(of token: String) { bytes = Array(SHA256.hash(data: Array(token.utf8))) }

    /// Reads 64 hex digits; nil for anything else.
    init?(hex: Substring) {
        guard hex.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var rest = hex[...]
        while !rest.isEmpty {
            let pair = rest.prefix(2)
            guard pair.utf8.allSatisfy({ Character(UnicodeScalar($0)).isHexDigit }), let byte = UInt8(pair, radix: 16)
            else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        self.bytes = bytes
    }

    static func == (left: TokenDigest, right: TokenDigest) -> Bool {
        var difference: UInt8 = 0
        for (a, b) in zip(left.bytes, right.bytes) { difference |= a ^ b }
        return difference == 0
    }

    /// Lower-case hex digits.
    var description: String { hexString(bytes) }

    /// The first 8 bytes, to tell wrong tokens apart without keeping them.
    var fingerprint: UInt64 { bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) } }
}
