/// Reads the journal's events in order of position, without locks, with or without a running manager.
///
/// Goes by position, not by a list of files: after each file it looks again for the one that holds the next
/// position, also when a file has just gone. Events are shown command by command: those of a command whose last
/// event is not there yet are kept back.
public final class LogReader {
    /// Where a reader stopped.
    public enum End: Sendable, Equatable {
        /// Everything that is there was shown.
        case reached
        /// The closure asked to stop.
        case stopped
    }

    private let directory: JournalDirectory
    private let start: LogPosition
    private let prefetches: Bool
    private let checksTrailers: Bool

    /// `from`: the first position to show. `prefetching`: files are read, inflated and checked on a thread of their own,
    /// for long reads.
    public init(
        _ directory: JournalDirectory, from: LogPosition = LogPosition(1), prefetching: Bool = false,
        checkingTrailers: Bool = false
    ) {
        self.directory = directory
        self.start = from
        self.prefetches = prefetching
        self.checksTrailers = checkingTrailers
        self.last = from.previous
    }

    /// The last position that was shown, or that gap lines passed over; before the first: the one before `from`.
    public private(set) var last: LogPosition

    /// Events that repair took out, among those that were read so far: a reader passes them.
    public private(set) var gaps: [GapLine] = []

    /// Bytes at the end of the active segment that were not shown: an unfinished command or a torn line.
    public private(set) var unread: UnreadTail?

    /// Calls `body` with each event until it returns false or all that is there was shown.
    /// Throws `JournalError.damage` at the first line that is not what was written. Where history was discarded, it begins
    /// with the first event that is still there; `.discarded` where that happens while it reads.
    @discardableResult
    public func forEach(_ body: (LogLine) throws(JournalError) -> Bool) throws(JournalError) -> End {
        let begins = try directory.historyBegins()
        do throws(JournalError) { return try show(from: max(start, begins), body) } catch {
            guard case .damage(let damage) = error, damage.kind == .missingSegment,
                case let now = try directory.historyBegins(), now > begins, now > last
            else { throw error }
            throw .discarded(DiscardedHistory(position: now.previous))
        }
    }

    private func show(
        from start: LogPosition, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> End {
        let source = CheckedSource(
            SegmentSequence(directory, from: start, checkingTrailers: checksTrailers), from: start,
            scanningMembers: prefetches)
        if prefetches {
            let ahead = ReadAhead(source)
            defer { ahead.cancel() }
            while let lines = try ahead.next() { guard try show(lines, body) else { return .stopped } }
        } else {
            while let lines = try source.next() { guard try show(lines, body) else { return .stopped } }
        }
        unread = source.unread
        return .reached
    }

    private func show(
        _ lines: CheckedLines, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        gaps += lines.gaps
        let goesOn = try lines.forEach { line throws(JournalError) in
            last = line.position
            return try body(line)
        }
        if goesOn, lines.last > last { last = lines.last }
        return goesOn
    }
}

/// What a reader left unread at the end of the active segment: the next start may cut it.
public struct UnreadTail: Sendable, Equatable {
    /// The file's name.
    public let file: String
    /// Where the bytes begin.
    public let byte: Int64
    /// How many they are.
    public let bytes: Int64
}
