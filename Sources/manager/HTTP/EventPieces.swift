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

    /// Says why there are no more, as the last thing: the answer then ends without its end, so that nobody takes it for whole.
    mutating func end(with error: JournalError) {
        var json = Array("{\"error\":".utf8)
        appendJSONString(error.description, to: &json)
        json.append(125)
        if isSSE { bytes.append(contentsOf: "event: error\ndata: ".utf8) }
        bytes.append(contentsOf: json)
        bytes.append(10)
        if isSSE { bytes.append(10) }
    }

    /// What was added since the last time.
    mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }
}
