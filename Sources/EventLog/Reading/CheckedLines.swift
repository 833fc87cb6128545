import CScan

/// The events of one chunk that were found right, whole commands only, and the bytes that they point into.
struct CheckedLines: Sendable {
    /// One event's line inside the bytes; see `LogLine`.
    struct Entry: Sendable {
        var position: LogPosition
        var time: LogTime
        var crc: UInt32
        var offset: UInt32
        var count: UInt32
        var bodyStart: UInt16
        var hasMore: Bool
        /// How many of the chunk's member spans are the line's; 0: they were not looked for.
        var spanCount: UInt8 = 0
        /// Where they begin.
        var firstSpan: UInt32 = 0
    }

    var bytes: [UInt8]
    var entries: [Entry] = []
    /// The members of the lines, each by its place behind its line's first byte.
    var spans: [cscan_span] = []
    /// Gap lines among the chunk's lines: events that repair took out.
    var gaps: [GapLine] = []
    /// The last position of the chunk, gap lines included.
    var last: LogPosition
    /// What is wrong behind the last entry; thrown after the entries have been shown.
    var failure: JournalError?

    /// Calls `body` with each event until it returns false; false then. Throws what is wrong behind them.
    @inline(__always)
    func forEach(_ body: (LogLine) throws(JournalError) -> Bool) throws(JournalError) -> Bool {
        var problem: JournalError?
        var goesOn = true
        bytes.withUnsafeBufferPointer { buffer in
            spans.withUnsafeBufferPointer { spans in
                do throws(JournalError) {
                    for entry in entries {
                        guard try body(LogLine(entry, in: buffer, spans)) else {
                            goesOn = false
                            return
                        }
                    }
                } catch { problem = error }
            }
        }
        if let problem { throw problem }
        if goesOn, let failure { throw failure }
        return goesOn
    }
}

/// The checked events from a position on: files one after the other, each line looked at once.
///
/// Used by one thread at a time: the reader's own, or the one that reads ahead.
final class CheckedSource: @unchecked Sendable {  // handed over whole to the one thread that reads
    private let chunks: SegmentSequence
    private var checker: LineChecker
    private var isFinished = false

    /// Bytes at the end of the active segment that were not shown; after `next` has returned nil.
    var unread: UnreadTail? { checker.unread }

    /// `scanningMembers`: their places are looked up here, and not where the events are folded.
    init(_ chunks: SegmentSequence, from: LogPosition, scanningMembers: Bool = false) {
        self.chunks = chunks
        checker = LineChecker(from: from, scanningMembers: scanningMembers)
    }

    /// The next events; nil at the end.
    func next() throws(JournalError) -> CheckedLines? {
        let read: LineChunk?
        do throws(JournalError) { read = try chunks.next() } catch {
            guard case .damage(let damage) = error else { throw error }
            throw .damage(checker.placed(damage))
        }
        guard let chunk = read else {
            if !isFinished { checker.finish() }
            isFinished = true
            return nil
        }
        return checker.check(chunk)
    }
}
