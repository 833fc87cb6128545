/// The place of one event in the journal: 1, 2, 3 … with no gap; 0 stands before the first.
///
/// Written as `seq` in files and answers.
public struct LogPosition: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The number as it is written.
    public let rawValue: UInt64

    /// Makes a position from its number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// Before the first event.
    public static let zero = LogPosition(0)

    /// The position after this one; the greatest stays what it is, so that a number made up in a file ends no reader.
    public var next: LogPosition { LogPosition(rawValue == .max ? .max : rawValue + 1) }

    /// The position before this one; zero stays zero.
    public var previous: LogPosition { LogPosition(rawValue == 0 ? 0 : rawValue - 1) }

    /// Earlier is less.
    public static func < (left: LogPosition, right: LogPosition) -> Bool { left.rawValue < right.rawValue }

    /// The text for people.
    public var description: String { String(rawValue) }
}
