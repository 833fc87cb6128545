import EventLog
import Projections

/// The indexes of tasks' events that may be used up to a moment: each whole, and its stretch's last line the journal's.
struct IndexChain: Sendable {
    /// Oldest first; they do not overlap, but there may be gaps.
    let indexes: [TaskIndex]

    /// Reads those that end at or before a position.
    init(_ data: DataDirectory, upTo limit: LogPosition) throws(JournalError) {
        let files: CheckpointFiles
        do { files = try CheckpointFiles(data) } catch { throw .file(error) }
        var found: [TaskIndex] = []
        for position in files.indexes where position <= limit {
            guard let index = files.index(position), index.first > found.last?.last ?? .zero else { continue }
            found.append(index)
        }
        // An index beyond the journal's end, or of another journal, makes the picker give up or differ.
        let lines = LogPicker(data.journal)
        func isOwn(_ indexes: [TaskIndex]) throws(JournalError) -> Bool {
            let crcs = try lines.events(at: indexes.map(\.last)) { $0.crc }
            return crcs == indexes.map(\.lastCRC)
        }
        if try isOwn(found) {
            indexes = found
            return
        }
        var own: [TaskIndex] = []
        for index in found where try isOwn([index]) { own.append(index) }
        indexes = own
    }

    /// The end of the stretch that is covered without a gap from the first event on; zero where that is not.
    var coveredFromStart: LogPosition {
        var end = LogPosition.zero
        for index in indexes {
            guard index.first == end.next else { break }
            end = index.last
        }
        return end
    }

    /// The ranges up to a position that no index covers, in order.
    func gaps(upTo limit: LogPosition) -> [ClosedRange<LogPosition>] {
        var gaps: [ClosedRange<LogPosition>] = []
        var next = LogPosition(1)
        for index in indexes {
            if index.first > next { gaps.append(next...index.first.previous) }
            next = index.last.next
        }
        if next <= limit { gaps.append(next...limit) }
        return gaps
    }

    /// The indexes that follow one another from the first event on.
    var unbroken: [TaskIndex] {
        let end = coveredFromStart
        return indexes.filter { $0.last <= end }
    }
}
