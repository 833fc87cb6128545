import EventLog
import Projections

/// Reads what a data directory was at any moment: the newest state kept before it (state file, backup, baseline,
/// checkpoint), and the events after that one. Never writes.
///
/// A kept state counts only with a right checksum, and only if the journal's line at its seq has the checksum that it
/// names. Others are passed over in silence: the journal has everything.
struct MomentReader: Sendable {
    /// A state and how it was come by.
    struct Found: Sendable {
        var state: ManagerState
        /// How many events were folded for it.
        var foldedEvents: UInt64
        /// The file that they were folded upon; nil: from the first event.
        var base: String?
        /// True where the moment lies beyond the last event.
        var isBeyondEnd: Bool
        /// Events that repair took out and that no kept state makes up for: what they did is missing in the state.
        var gaps: [GapLine] = []
        /// What was left unread at the journal's end; the next start may cut it.
        var unread: UnreadTail?
    }

    let data: DataDirectory

    init(_ data: DataDirectory) { self.data = data }

    /// The state at a moment. `fromBeginning`: every event is folded, as a check of what is kept. `isInterrupted`: asked now
    /// and then; where it says so, the state stands before the moment. Throws `.discarded` for what lies in history that is
    /// gone.
    func state(
        at moment: Moment, fromBeginning: Bool = false, isInterrupted: () -> Bool = { false }
    ) throws(JournalError) -> Found {
        // History may be discarded while it is read: a baseline stands in for it then.
        for _ in 0..<3 {
            let begins = try data.journal.historyBegins()
            do throws(JournalError) {
                return try folded(moment, begins, fromBeginning: fromBeginning, isInterrupted)
            } catch {
                if try data.journal.historyBegins() == begins { throw error }
            }
        }
        return try folded(moment, try data.journal.historyBegins(), fromBeginning: fromBeginning, isInterrupted)
    }

    private func folded(
        _ moment: Moment, _ begins: LogPosition, fromBeginning: Bool, _ isInterrupted: () -> Bool
    ) throws(JournalError) -> Found {
        if let found = try folded(moment, fromBeginning: fromBeginning, ofOlderFolds: false, isInterrupted) {
            return found
        }
        if begins > LogPosition(1) {
            // The events before are gone: a state of an older fold is better than none.
            let older = try folded(moment, fromBeginning: fromBeginning, ofOlderFolds: true, isInterrupted)
            if let older { return older }
            throw .discarded(try DiscardNote.history(data))
        }
        guard
            let based = try Replay.state(
                upTo: try limit(of: moment), in: data.journal, upon: ManagerState(), isInterrupted: isInterrupted)
        else {
            preconditionFailure("the empty state is the beginning of every journal")
        }
        return try found(based, moment, nil)
    }

    /// The state at a moment, upon the newest one that is kept before it; nil where there is none.
    private func folded(
        _ moment: Moment, fromBeginning: Bool, ofOlderFolds: Bool, _ isInterrupted: () -> Bool
    ) throws(JournalError) -> Found? {
        let limit = try limit(of: moment)
        let first = try data.journal.segments().first?.first ?? LogPosition(1)
        for kept in try KeptStates(data).all where kept.position <= limit && kept.position > .zero {
            // Before a baseline events are missing, or are of no use: it is where a fold can begin.
            if fromBeginning, !kept.isBaseline { continue }
            let endsHistory = kept.isBaseline && kept.position.next == first
            guard let base = kept.load(data, ofOlderFolds: ofOlderFolds || kept.isBaseline),
                endsHistory || base.position >= first,
                let based = try Replay.state(
                    upTo: limit, in: data.journal, upon: base, endsHistory: endsHistory,
                    isInterrupted: isInterrupted)
            else { continue }
            // A time between the last event that is gone and the one before it.
            if endsHistory, based.foldedEvents == 0, case .time(let wanted) = moment,
                base.time.map({ $0 > wanted }) ?? false
            {
                break
            }
            return try found(based, moment, kept.path)
        }
        return nil
    }

    /// Whether a state stands in for missing events before a position: a task's own events do not tell all of it then.
    func hasBaseline(upTo limit: LogPosition) throws(JournalError) -> Bool {
        do throws(FileError) { return try data.journal.baselines().contains { $0 <= limit } } catch {
            throw .file(error)
        }
    }

    /// The last event that belongs to a moment; beyond all for `now` and what lies in the future.
    func limit(of moment: Moment) throws(JournalError) -> LogPosition {
        switch moment {
        case .now: LogPosition(.max)
        case .position(let position): position
        case .time(let time): time >= LogTime.now() ? LogPosition(.max) : try data.journal.lastPosition(notAfter: time)
        }
    }

    private func found(_ based: Replay.Based, _ moment: Moment, _ base: String?) throws(JournalError) -> Found {
        Found(
            state: based.state, foldedEvents: based.foldedEvents, base: base,
            isBeyondEnd: try isBeyondEnd(moment, after: based.state.position), gaps: based.gaps, unread: based.unread)
    }
}

/// The states that stand in a data directory, newest first; of equal ones the baseline, then the state file, then the least
/// to read.
struct KeptStates {
    /// One of them, by what its name or its end says.
    struct Kept {
        var position: LogPosition
        var path: String
        var isCompressed = true
        /// Where history was discarded, or a gap begins: events before it are gone.
        var isBaseline = false

        /// The state; nil where it is damaged, of another version of the fold, or gone. `ofOlderFolds`: see
        /// `StateDecoder`.
        func load(_ data: DataDirectory, ofOlderFolds: Bool) -> ManagerState? {
            do {
                var bytes: [UInt8] = []
                if isCompressed {
                    bytes.reserveCapacity(Int(sizeBytes(data)) * 10)
                    try GzipFile.read(path, on: data.fileSystem) { bytes += $0 }
                } else {
                    bytes = try readWholeFile(path, on: data.fileSystem)
                }
                let state = try StateDecoder.state(bytes, ofOlderFolds: ofOlderFolds)
                return state.position == position || !isCompressed ? state : nil
            } catch { return nil }  // damaged or gone: the journal has everything
        }

        /// The bytes that it takes on the disk.
        func sizeBytes(_ data: DataDirectory) -> Int64 {
            do { return try data.fileSystem.metadata(path)?.sizeBytes ?? 0 } catch { return 0 }
        }
    }

    let all: [Kept]

    /// Looks at names, and at the state file's end.
    init(_ data: DataDirectory) throws(JournalError) {
        do throws(FileError) {
            var found = try data.journal.baselines().map {
                Kept(position: $0, path: data.journal.baselinePath($0), isBaseline: true)
            }
            if let position = try Self.statedPosition(data) {
                found.append(Kept(position: position, path: data.stateFile, isCompressed: false))
            }
            for position in try CheckpointFiles(data).states {
                found.append(Kept(position: position, path: CheckpointFiles.statePath(position, data)))
            }
            for backup in try BackupFile.all(data) {
                found.append(Kept(position: backup.position, path: backup.path(data)))
            }
            // A stable order among equals: as they were found.
            all = found.enumerated().sorted {
                ($1.element.position, $0.offset) < ($0.element.position, $1.offset)
            }.map(\.element)
        } catch { throw .file(error) }
    }

    /// Where the state file says that it stands; nil without one.
    private static func statedPosition(_ data: DataDirectory) throws(FileError) -> LogPosition? {
        guard let size = try data.fileSystem.metadata(data.stateFile)?.sizeBytes else { return nil }
        let file = try data.fileSystem.open(data.stateFile, .read)
        defer { file.close() }
        return StateDecoder.statedPosition(try readBytes(of: file, at: max(0, size - 400), count: 400))
    }
}
