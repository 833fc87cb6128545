/// The name of a journal file: the position of its first event in 20 digits, `.jsonl` or `.jsonl.gz`.
public struct SegmentName: Sendable, Hashable, Comparable {
    /// The first event that the file may hold.
    public let first: LogPosition
    /// True for `.jsonl.gz`.
    public let isCompressed: Bool

    /// Makes a name.
    public init(first: LogPosition, isCompressed: Bool = false) {
        self.first = first
        self.isCompressed = isCompressed
    }

    /// Reads a name; nil for any other file.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count > 20, bytes[..<20].allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let first = UInt64(String(decoding: bytes[..<20], as: UTF8.self))
        else { return nil }
        switch String(decoding: bytes[20...], as: UTF8.self) {
        case ".jsonl": self.init(first: LogPosition(first))
        case ".jsonl.gz": self.init(first: LogPosition(first), isCompressed: true)
        default: return nil
        }
    }

    /// The file's name.
    public var text: String {
        let digits = String(first.rawValue)
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits
            + (isCompressed ? ".jsonl.gz" : ".jsonl")
    }

    /// Whether a header may stand in a line, counted from 1: a plain file is one segment, a compressed one may be several.
    func mayHoldHeader(inLine number: Int) -> Bool { number == 1 || isCompressed }

    /// By first event; of two with the same first event the compressed one comes first.
    public static func < (left: SegmentName, right: SegmentName) -> Bool {
        left.first != right.first ? left.first < right.first : left.isCompressed && !right.isCompressed
    }
}
