/// A text that is compared by its bytes, as ids, names and paths are: strings of Swift compare by meaning, and would take
/// `é` written as one character and as two for the same.
public struct ExactText: Hashable, Comparable, Sendable {
    /// The text.
    public let text: String

    /// Takes a text as it stands.
    public init(_ text: String) { self.text = text }

    /// Equal where all bytes are. The strings' own comparison is the quick one, and only takes too much for the same.
    public static func == (left: Self, right: Self) -> Bool {
        left.text == right.text && left.text.utf8.elementsEqual(right.text.utf8)
    }

    /// By bytes.
    public static func < (left: Self, right: Self) -> Bool {
        left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
    }

    /// The hash of the bytes.
    public func hash(into hasher: inout Hasher) {
        for byte in text.utf8 { hasher.combine(byte) }
        hasher.combine(0xFF as UInt8)
    }
}

extension Sequence<String> {
    /// True where one of the texts has these bytes.
    public func containsExactly(_ text: String) -> Bool { contains { ExactText($0) == ExactText(text) } }
}
