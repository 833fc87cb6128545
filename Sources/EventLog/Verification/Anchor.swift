/// A head hash that was kept elsewhere: `HASH@SEQ`, as `verify` prints it.
///
/// The head hash at seq N is the SHA-256 of N's segment from its header line through line N; the header holds the hash
/// of the segment before it, and so on. So it stands for every byte of the journal up to N.
public struct Anchor: Sendable, Hashable, CustomStringConvertible {
    /// SHA-256 in hex.
    public let sha256: String
    /// The event that the hash goes through.
    public let position: LogPosition

    /// Makes an anchor from its parts.
    public init(sha256: String, position: LogPosition) {
        self.sha256 = sha256
        self.position = position
    }

    /// Reads `HASH@SEQ`; nil for any other text.
    public init?(_ text: String) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 64, let seq = UInt64(parts[1]) else { return nil }
        let hash = parts[0].lowercased()
        guard hash.utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) }) else { return nil }
        self.init(sha256: hash, position: LogPosition(seq))
    }

    /// `HASH@SEQ`.
    public var description: String { "\(sha256)@\(position)" }
}
