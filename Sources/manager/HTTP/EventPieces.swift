import EventLog
import Projections

/// The text of the events that a follower is shown: the journal's lines, or Server-Sent Events.
struct EventPieces {
    private let isSSE: Bool
    private let filter: EventFilter
    private var bytes: [UInt8] = []

    init(isSSE: Bool, filter: EventFilter) { (self.isSSE, self.filter) = (isSSE, filter) }

    /// How many bytes wait to be taken.
    var count: Int { bytes.count }

    /// Adds an event if it is shown.
    mutating func add(_ line: LogLine, _ event: EventView) {
        guard filter.shows(line, event) else { return }
        if isSSE {
            // No `event:` line: `onmessage` of a browser gets unnamed events only, and the type stands in the line.
            bytes.append(contentsOf: "id: \(line.position)\ndata: ".utf8)
            bytes.append(contentsOf: line.bytes)
            bytes.append(contentsOf: [10, 10])
        } else {
            bytes.append(contentsOf: line.bytes)
            bytes.append(10)
        }
    }

    /// What was added since the last time.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }
}
