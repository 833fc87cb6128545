/// The first look at a file's lines, before it is mended: which good lines stand at a wrong place, and which carry a time
/// that cannot be.
struct LineSurvey {
    /// Good lines that stand behind a later one, by position, newline included.
    private(set) var displaced: [LogPosition: [UInt8]] = [:]
    /// Positions whose line carries a time that does not fit its neighbours.
    private(set) var untimely: Set<LogPosition> = []

    /// The number in the first header behind the file's first line; nil where there is none.
    private(set) var laterSegment: UInt64?

    private let limit: LogPosition
    private var isFirstLine = true
    private var greatest: LogPosition
    private var missing: [ClosedRange<UInt64>] = []
    private var previous: (position: LogPosition, time: LogTime)?
    private var beforePrevious: LogTime

    /// `first`: the position that is due; `limit`: the last one that may stand in the file; `time`: of the event before.
    init(first: LogPosition, limit: LogPosition, time: LogTime) {
        greatest = first.previous
        self.limit = limit
        beforePrevious = time
    }

    /// Looks at a line, without its newline.
    mutating func look(at raw: UnsafeBufferPointer<UInt8>) {
        defer { isFirstLine = false }
        if !isFirstLine, laterSegment == nil, let header = SegmentHeader(raw) {
            laterSegment = header.segment
            return
        }
        if let gap = GapLine(raw) {
            if gap.first > greatest.next { note(missing: greatest.next, through: gap.first.previous) }
            greatest = max(greatest, gap.last)
            return
        }
        guard let line = LogLine(raw), line.position <= limit else { return }
        if line.position > greatest {
            if line.position > greatest.next { note(missing: greatest.next, through: line.position.previous) }
            greatest = line.position
            judgeTime(of: line)
        } else if displaced[line.position] == nil, missing.contains(where: { $0.contains(line.position.rawValue) }) {
            displaced[line.position] = Array(raw) + [10]
        }
    }

    private mutating func note(missing first: LogPosition, through last: LogPosition) {
        missing.append(first.rawValue...last.rawValue)
    }

    /// Of two neighbours whose times decrease, the one is wrong without which they do not.
    private mutating func judgeTime(of line: LogLine) {
        if let last = previous, line.time < last.time {
            guard line.time >= beforePrevious else {
                untimely.insert(line.position)
                return
            }
            untimely.insert(last.position)
        } else if previous == nil, line.time < beforePrevious {
            untimely.insert(line.position)
            return
        } else {
            beforePrevious = previous?.time ?? beforePrevious
        }
        previous = (line.position, line.time)
    }
}
