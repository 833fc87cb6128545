/// What `journal_gap` notes in the journal say of repairs before them.
public struct RepairNotes: Sendable {
    /// The gaps that are noted.
    public private(set) var gaps: Set<Gap> = []
    /// Segments that are not what their successors say, with the hash that they had when that was noted.
    public private(set) var segments: [UInt64: String] = [:]

    /// A gap, by its first and last position.
    public struct Gap: Hashable, Sendable {
        /// The first position that is missing.
        public var first: LogPosition
        /// The last one.
        public var last: LogPosition

        /// Makes one from its ends.
        public init(first: LogPosition, last: LogPosition) {
            self.first = first
            self.last = last
        }
    }

    /// No note yet.
    public init() {}

    private static let beginning = Array("\"type\":\"journal_gap\"".utf8)

    /// Reads an event's line, if it is such a note.
    public mutating func take(_ line: LogLine) {
        let body = line.body
        guard body.count > Self.beginning.count, body[8] == 106, body.starts(with: Self.beginning) else { return }
        var members = FrameMembers(line.bytes)
        var numbers: [String: UInt64] = [:]
        var hash: String?
        while let (key, value) = members.next() {
            if key == "segment_sha256" { hash = value.text } else if let n = value.number { numbers[key] = n }
        }
        if let first = numbers["first_seq"], let last = numbers["last_seq"] {
            gaps.insert(Gap(first: LogPosition(first), last: LogPosition(last)))
        }
        if let segment = numbers["segment"], let hash { segments[segment] = hash }
    }
}
