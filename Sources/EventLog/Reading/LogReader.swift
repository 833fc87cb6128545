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
    private var checker: LineChecker
    private let start: LogPosition
    private let prefetches: Bool
    private let checksTrailers: Bool

    /// `from`: the first position to show. `prefetching`: files are read and inflated on a thread of their own,
    /// for long reads.
    public init(
        _ directory: JournalDirectory, from: LogPosition = LogPosition(1), prefetching: Bool = false,
        checkingTrailers: Bool = false
    ) {
        self.directory = directory
        self.start = from
        self.prefetches = prefetching
        self.checksTrailers = checkingTrailers
        self.checker = LineChecker(from: from)
    }

    /// The last position that was shown, or that gap lines passed over; before the first: the one before `from`.
    public var last: LogPosition { checker.lastShown }

    /// Bytes at the end of the active segment that were not shown: an unfinished command or a torn line.
    public var unread: UnreadTail? { checker.unread }

    /// Calls `body` with each event until it returns false or all that is there was shown.
    /// Throws `JournalError.damage` at the first line that is not what was written.
    @discardableResult
    public func forEach(_ body: (LogLine) throws(JournalError) -> Bool) throws(JournalError) -> End {
        let source = SegmentSequence(directory, from: start, checkingTrailers: checksTrailers)
        guard prefetches else {
            while let chunk = try source.next() {
                if try !checker.show(chunk, to: body) { return .stopped }
            }
            checker.finish()
            return .reached
        }
        let queue = ChunkPrefetch(source)
        defer { queue.cancel() }
        while let chunk = try queue.next() {
            if try !checker.show(chunk, to: body) { return .stopped }
        }
        checker.finish()
        return .reached
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
