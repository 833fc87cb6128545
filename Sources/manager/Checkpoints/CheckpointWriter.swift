import EventLog
import Projections

/// Writes what makes the past quick to reach: for each stretch of the journal an index of its tasks' events, and at its
/// end, unless that would take more space than the journal, the state.
///
/// Order of effects: all of a stretch is durable in the journal; then the state at its end, then the index, each whole
/// under a temporary name, synced, renamed. Power lost between: a state without its index, which is written anew, or a
/// `.tmp`, which the next start removes. Nothing of it is needed by anybody.
struct CheckpointWriter {
    /// How stretches are cut.
    private enum Stretch {
        /// No longer than this for the sake of few files.
        static let usualBytes: Int64 = 64 << 20
        /// At least this share of what came before, so that tiny segments do not make countless files.
        static let leastShare: Int64 = 256
        /// What gzip makes of lines, roughly.
        static let inflation: Int64 = 8
        /// States may take so much in any case, be the journal as small as it may.
        static let freeBytes: Int64 = 16 << 20
    }

    private let data: DataDirectory
    private let segmentBytes: Int64
    private let isInterrupted: StateArchive.Interruption
    /// The journal's first event: 1, unless history was discarded.
    private var first = LogPosition(1)
    /// Up to where the journal is covered, from its first event on.
    private(set) var covered = LogPosition.zero
    /// The bytes of the lines up to there.
    private var coveredBytes: Int64 = 0
    /// The bytes of lines since the newest state.
    private var bytesSinceState: Int64 = 0
    /// What the states take on the disk.
    private var stateFileBytes: Int64 = 0
    /// The bytes of the newest state that was written, for each of its tasks; a guess before the first.
    private var bytesPerTask = 600.0

    /// `segmentBytes`: the least length of a stretch. `isInterrupted`: asked between pieces of work.
    init(
        _ data: DataDirectory, segmentBytes: Int64, isInterrupted: @escaping StateArchive.Interruption = { false }
    ) {
        self.data = data
        self.segmentBytes = segmentBytes
        self.isInterrupted = isInterrupted
    }

    /// Looks at what stands, and removes what is damaged or not of this journal. Blocks.
    mutating func begin() throws {
        try followDiscarding()
        let files = try CheckpointFiles(data)
        covered = first.previous
        (coveredBytes, bytesSinceState, stateFileBytes) = (0, 0, 0)
        let lines = LogPicker(data.journal)
        for position in files.indexes {
            if isInterrupted() { return }
            // Of an index that reaches back into discarded history the rest is as good as ever.
            guard let index = files.index(position), index.first == covered.next || (index.first...index.last) ~= first,
                try lines.events(at: [index.last], { $0.crc }) == [index.lastCRC],
                !index.hasState || files.states.contains(position)
            else { break }
            covered = position
            coveredBytes += Int64(index.lineBytes)
            bytesSinceState = index.hasState ? 0 : bytesSinceState + Int64(index.lineBytes)
            if index.hasState { try countState(position) }
        }
        try files.remove(from: covered.next)
    }

    /// Covers what has been sealed since. `live`: the state as it is, all of it durable. Blocks for as long as it takes.
    mutating func catchUp(live: () -> ManagerState) throws {
        try followDiscarding()
        guard let sealed = try sealed() else { return }
        let stretch = stretchBytes
        // Half: how well gzip did is a guess.
        guard sealed.bytes >= stretch / 2 else { return }
        if sealed.bytes > stretch * 5 / 2 {
            try replay(to: sealed.end)
        } else {
            try cover(live())
        }
    }

    /// What ends in history that was discarded meanwhile is of no use to anybody.
    private mutating func followDiscarding() throws {
        first = try data.journal.segments().first?.first ?? LogPosition(1)
        covered = max(covered, first.previous)
        try CheckpointFiles(data).remove(before: first)
    }

    private var stretchBytes: Int64 {
        max(segmentBytes, min(Stretch.usualBytes, coveredBytes / Stretch.leastShare))
    }

    /// The last sealed event, and how many bytes of lines are sealed and not covered, roughly; nil where nothing is.
    private func sealed() throws -> (end: LogPosition, bytes: Int64)? {
        let names = try data.journal.segments()
        guard let newest = names.last, newest.first.previous > covered else { return nil }
        var bytes: Int64 = 0
        for (index, name) in names.dropLast().enumerated() where names[index + 1].first > covered.next {
            let size = try data.fileSystem.metadata(data.journal.path(of: name))?.sizeBytes ?? 0
            bytes += name.isCompressed ? size * Stretch.inflation : size
        }
        return (newest.first.previous, bytes)
    }

    /// Covers everything up to a state that is there already.
    private mutating func cover(_ state: ManagerState) throws {
        guard state.position > covered else { return }
        var index = TaskIndexBuilder(from: covered.next)
        let limit = state.position
        try LogReader(data.journal, from: covered.next).forEach { line throws(JournalError) in
            guard line.position <= limit, !isInterrupted() else { return false }
            do throws(EventError) { index.note(line, try EventView(line), state) } catch {
                throw Replay.unfoldable(line, error)
            }
            return true
        }
        if isInterrupted() { return }
        try write(&index, state)
    }

    /// Covers a long way: folds it, and cuts it into stretches.
    private mutating func replay(to end: LogPosition) throws {
        guard case let found = try MomentReader(data).state(at: .position(covered), isInterrupted: isInterrupted),
            found.state.position == covered
        else { return }
        var state = found.state
        var index = TaskIndexBuilder(from: covered.next)
        var failure: (any Error)?
        var baselines = try data.journal.baselines().filter { $0 > covered }
        try LogReader(data.journal, from: covered.next, prefetching: true).forEach { line throws(JournalError) in
            guard line.position <= end, !isInterrupted() else { return false }
            do {
                let event = try EventView(line)
                while let next = baselines.first, next <= line.position {
                    // Events are missing before it: it takes the place of what was folded.
                    baselines.removeFirst()
                    if let baseline = try Baseline.read(next, in: data.journal) { state = baseline }
                }
                if line.position > state.position {
                    state.apply(event, at: line.position, time: line.time, crc: line.crc)
                }
                index.note(line, event, state)
                if !line.hasMore, index.lineBytes >= UInt64(stretchBytes) || line.position == end {
                    try write(&index, state)
                    index = TaskIndexBuilder(from: line.position.next)
                }
            } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw failure }
    }

    private mutating func countState(_ position: LogPosition) throws {
        stateFileBytes += try data.fileSystem.metadata(CheckpointFiles.statePath(position, data))?.sizeBytes ?? 0
    }

    /// Writes the state, where there has been enough journal since the last one, and the index.
    private mutating func write(_ index: inout TaskIndexBuilder, _ state: ManagerState) throws {
        try data.fileSystem.createDirectories(data.checkpoints)
        bytesSinceState += Int64(index.lineBytes)
        let expected = Int64(bytesPerTask * Double(state.taskCount))
        let isDue = bytesSinceState >= expected || stateFileBytes + expected / Stretch.inflation < Stretch.freeBytes
        if isDue {
            let path = CheckpointFiles.statePath(state.position, data)
            let bytes = try StateArchive.write(
                state, to: path, on: data.fileSystem, paced: true, isInterrupted: isInterrupted)
            bytesPerTask = Double(bytes) / Double(max(1, state.taskCount))
            bytesSinceState = 0
            try countState(state.position)
        }
        let path = CheckpointFiles.indexPath(state.position, data)
        var file = try AtomicFile(path, on: data.fileSystem, pause: { pausePacedWriting() })
        do {
            try file.append(index.finish(state, hasState: isDue))
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
        covered = state.position
        coveredBytes += Int64(index.lineBytes)
    }
}
