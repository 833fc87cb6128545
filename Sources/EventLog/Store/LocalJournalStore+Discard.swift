import Crypto
import Synchronization

/// A segment that goes, or went.
public struct DiscardedSegment: Sendable, Equatable {
    /// The segment's number.
    public var segment: UInt64
    /// Its first and its last event.
    public var first: LogPosition
    /// See `first`.
    public var last: LogPosition
    /// SHA-256 of its lines, header among them, in hex.
    public var sha256: String
}

/// What a discarding takes from the beginning of the journal: whole segments, oldest first.
public struct DiscardPlan: Sendable, Equatable {
    /// The segments, in order; empty where nothing can go.
    public internal(set) var segments: [DiscardedSegment] = []
    /// The files that go, oldest first; the last of them may hold segments that stay, too.
    public internal(set) var files: [SegmentName] = []
    /// The bytes of these files.
    public internal(set) var sizeBytes: Int64 = 0

    /// The last event that goes; nil where none does.
    public var last: LogPosition? { segments.last?.last }
}

/// Discarding of history: whole segments, from the oldest on.
///
/// Order of effects, and what the next start finds if the power goes between them:
/// 1. What `prepare` does: the baseline is durable, then the event that tells of the discarding: all segments stand.
/// 2. Where a merged file also holds segments that stay, these in a file of their own under `.tmp`, synced, read back and
///    compared, renamed, the directory synced: both stand, the new one is a left-over, which the start removes.
/// 3. Each file, oldest first: where there is an archive, its copy there, durable; then the file removed, the directory
///    synced: some of the oldest segments are gone, and the baseline stands in for them. The next discarding goes on.
/// 4. The archive gets the baselines: last, since a baseline beyond a journal's end says that events are missing. Without
///    them it is whole all the same.
extension LocalJournalStore {
    /// The most segments that go at once: the event that names them is one line.
    static let mostDiscarded = 20_000

    /// See `JournalStore.discard`.
    public func discard(
        upTo limit: LogPosition, archive: JournalArchive?, prepare: (DiscardPlan) throws(JournalError) -> Void
    ) throws(JournalError) -> DiscardPlan {
        try rewriting.withLock { _ throws(JournalError) in
            while try archiveOldest() { try goOn() }
            try checkContinuity()
            let plan = try discardPlan(upTo: limit)
            guard let last = plan.last else { return plan }
            try archive?.check(plan, from: directory)
            try prepare(plan)
            for name in plan.files {
                try goOn()
                if try reaches(beyond: last, name) { try split(name, from: last.next) }
                try archive?.take(name, from: directory)
                do throws(FileError) {
                    try fileSystem.remove(directory.path(of: name))
                    try fileSystem.syncDirectory(directory.path)
                } catch { throw .file(error) }
            }
            try archive?.finish(from: directory)
            return plan
        }
    }

    /// What would go; every line of it is read and the chain of segments compared. The first header that stays must name
    /// the hash of the last segment that goes, else fewer go.
    func discardPlan(upTo limit: LogPosition) throws(JournalError) -> DiscardPlan {
        guard let newest = active.withLock({ $0?.name }) else { return DiscardPlan() }
        var walk = SegmentWalk()
        var names: [SegmentName] = []
        for name in try directory.segments() {
            let isActive = name.first >= newest.first
            // Of the active segment the header alone.
            try read(name) { chunk throws(JournalError) in
                try walk.take(chunk, headerOnly: isActive)
                return !isActive && (walk.lastSealed ?? .zero) <= limit
            }
            names.append(name)
            if isActive || (walk.lastSealed ?? .zero) > limit { break }
        }
        var plan = DiscardPlan()
        plan.segments = Array(walk.followed.prefix { $0.last <= limit }.prefix(Self.mostDiscarded))
        while let last = plan.segments.last, !walk.isFollowed(last) { plan.segments.removeLast() }
        guard let last = plan.last else { return DiscardPlan() }
        plan.files = names.filter { $0.first <= last }
        for name in plan.files {
            do { plan.sizeBytes += try fileSystem.metadata(directory.path(of: name))?.sizeBytes ?? 0 } catch {
                throw .file(error)
            }
        }
        return plan
    }

    private func read(
        _ name: SegmentName, _ body: (LineChunk) throws(JournalError) -> Bool
    ) throws(JournalError) {
        guard let file = try directory.open(name) else {
            throw .file(FileError(operation: "open", path: directory.path(of: name), errno: 2))
        }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        while let chunk = try chunks.next() {
            try goOn()
            guard try body(chunk) else { return }
        }
    }

    private func reaches(beyond last: LogPosition, _ name: SegmentName) throws(JournalError) -> Bool {
        var found = LogPosition.zero
        try read(name) { chunk throws(JournalError) in
            found = max(found, lastEvent(in: chunk.bytes) ?? .zero)
            return found <= last
        }
        return found > last
    }

    /// Writes what a merged file holds from a segment on as a file of its own, named after that segment.
    private func split(_ name: SegmentName, from first: LogPosition) throws(JournalError) {
        let rest = SegmentName(first: first, isCompressed: true)
        let output: AtomicFile
        do { output = try AtomicFile(directory.path(of: rest), on: fileSystem, pause: pacing) } catch {
            throw .file(error)
        }
        var stream = MemberStream(output: output, first: first)
        do throws(JournalError) {
            var original = SHA256()
            var isBehind = false
            try read(name) { chunk throws(JournalError) in
                var lines = chunk.bytes
                if !isBehind {
                    guard let start = headerOffset(of: first, in: lines) else { return true }
                    lines.removeFirst(start)
                    isBehind = true
                }
                original.update(data: lines)
                try stream.add(lines)
                return true
            }
            try stream.finish()
            guard isBehind, try hash(stream.output.temporaryPath, as: rest) == original.finalize() else {
                let path = directory.path(of: rest) + ".tmp"
                throw .file(FileError(operation: "read back what was written to", path: path, errno: 5))
            }
            do { try stream.output.publish() } catch { throw .file(error) }
        } catch {
            stream.output.abandon()
            throw error
        }
    }

    private func headerOffset(of first: LogPosition, in lines: [UInt8]) -> Int? {
        lines.withUnsafeBufferPointer { bytes in
            var at = 0
            while at < bytes.count, let end = bytes[at...].firstIndex(of: 10) {
                let line = UnsafeBufferPointer(rebasing: bytes[at..<end])
                if SegmentHeader.looksLikeHeader(line), SegmentHeader(line)?.first == first { return at }
                at = end + 1
            }
            return nil
        }
    }
}
