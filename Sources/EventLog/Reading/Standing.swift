/// What the journal has at one position.
public enum Standing: Sendable, Equatable {
    /// An event, whose line has this checksum.
    case event(crc: UInt32)
    /// Repair took it out.
    case gap
    /// Nothing: the journal ends before it, or begins behind it.
    case nothing

    /// Looks at one position. Throws what reading throws.
    public static func at(_ position: LogPosition, in journal: JournalDirectory) throws(JournalError) -> Standing {
        guard let first = try journal.segments().first, first.first <= position else { return .nothing }
        let reader = LogReader(journal, from: position)
        var found: UInt32?
        try reader.forEach { line throws(JournalError) in
            if line.position == position { found = line.crc }
            return false
        }
        if let found { return .event(crc: found) }
        return reader.gaps.contains { $0.first <= position && position <= $0.last } ? .gap : .nothing
    }
}
