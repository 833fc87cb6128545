import Crypto
import Synchronization

/// The journal in local files.
///
/// The order of effects, and what the next start finds if the power goes between them:
/// - *append*: one write, one sync. Between: any part of the write; `RecoveryTable` cuts it.
/// - *first append* of a journal: its segment stands under `.tmp` until header and first write are synced; then renamed,
///   directory synced. Before the rename is durable: no segment, the `.tmp` is deleted; after: all of the write. Were it
///   named before, a power loss could leave later lines of a first write without the one that carries `synced`, and no
///   segment before to tell whose journal it is.
/// - *seal*: successor under `.tmp`, synced, renamed, directory synced; then the first append to it. Before the
///   rename is durable: the old segment is still the newest; the `.tmp` is deleted. After: the old one is sealed.
/// - *archive*: `NAME.jsonl.gz.tmp` written, synced, read back, compared, renamed, directory synced; then
///   `NAME.jsonl` removed. Both stand: the plain one is removed at start when the other holds the same bytes.
/// - *rewrite* (after an unclean stop): the found file cut at its own end, which gives back what was reserved behind it;
///   `cut-…` durable, then the good lines under `.tmp`, synced, renamed over the
///   found file, directory synced. Before the rename is durable: the same decision is made again.
public final class LocalJournalStore: JournalStore {
    struct Active {
        var name: SegmentName
        var file: any File
        var header: SegmentHeader
        var size: Int64
        var reservedEnd: Int64
        var hash: SHA256
        var last: LogPosition
        /// Bytes appended but not yet hashed: hashing waits until after the replies have left.
        var unhashed: [[UInt8]] = []
        /// False while the file stands under `.tmp`: the first append gives it its name.
        var isNamed = true
    }

    /// The directory of the journal's files.
    public let directory: JournalDirectory
    let active = Mutex<Active?>(nil)
    private let reservation: Int64
    private let canReserve = Mutex(true)
    /// The bytes that are reserved behind the last event, as far as is known without waiting for a write: `active` is held
    /// while one is synced, and whoever admits new work must not wait for that.
    private let reservedAhead = Atomic<Int64>(0)
    let pacing: @Sendable () -> Void
    /// Held by whoever replaces sealed files: the archiver or a compaction, never both.
    let rewriting = Mutex(())
    /// True once a compaction should end soon.
    let isEnding = Atomic(false)

    /// The least space that is kept reserved behind the last event.
    public static let leastReservation = LogWriter.leastRoomBytes

    /// `segmentBytes`: what is reserved for a new segment, besides the least reservation. `pacing` is called between
    /// the pieces of background writing.
    public init(_ directory: JournalDirectory, segmentBytes: Int64, pacing: @escaping @Sendable () -> Void = {}) {
        self.directory = directory
        self.reservation = segmentBytes + Self.leastReservation
        self.pacing = pacing
    }

    var fileSystem: any FileSystem { directory.fileSystem }

    /// See `JournalStore.open`.
    public func open(_ hints: RecoveryHints) throws(JournalError) -> OpenedJournal {
        do {
            try fileSystem.createDirectories(directory.path)
            try fileSystem.syncPlace(of: directory.path)
            try removeUnfinished()
        } catch { throw .file(error) }
        let names = try directory.allSegments()
        guard let newest = names.max(by: { $0.first < $1.first }) else {
            if let beyond = hints.snapshotBeyond(.zero) {
                throw .snapshotBeyondEnd(snapshot: beyond.position, path: beyond.path, last: .zero)
            }
            return try begin(SegmentHeader(segment: 1, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious))
        }
        try settleDoubles(names, newest: newest)
        do throws(FileError) {
            for name in names where !name.isCompressed && name.first < newest.first {
                try releaseReservation(of: name)
            }
        } catch { throw .file(error) }
        try checkContinuity()
        if try directory.segments().last?.isCompressed == true {
            return try continueAfterSealed(newest.first, hints)
        }
        return try Recovery(store: self, name: newest, hints: hints).run()
    }

    /// See `JournalStore.append`.
    @discardableResult
    public func append(_ lines: [UInt8], last: LogPosition) throws(JournalError) -> Duration {
        var failure: FileError?
        var sync = Duration.zero
        active.withLock { active in
            guard let open = active else { preconditionFailure("append to a journal that is not open") }
            do throws(FileError) {
                try writeAll(lines, to: open.file, at: open.size)
                let began = ContinuousClock.now
                try open.file.sync()
                if !open.isNamed { try giveName(open.name) }
                sync = ContinuousClock.now - began
                active?.isNamed = true
                active?.size += Int64(lines.count)
                active?.last = last
                active?.unhashed.append(lines)
                noteReservation(active)
            } catch { failure = named(error, open) }
        }
        if let failure { throw .file(failure) }
        return sync
    }

    /// See `JournalStore.entries`.
    public func entries(from position: LogPosition) -> LogReader { LogReader(directory, from: position) }

    /// See `JournalStore.seal`.
    public func seal(next: LogPosition) throws(JournalError) -> Bool {
        settle()
        guard let old = active.withLock({ $0 }) else { preconditionFailure("seal of a journal that is not open") }
        precondition(old.last.next == next && old.last >= old.header.first, "a segment without events is never sealed")
        let header = SegmentHeader(
            segment: SegmentHeader.number(after: old.header.segment), first: next,
            previousSHA256: hexString(old.hash.finalize()))
        let successor: Active
        do throws(FileError) { successor = try prepare(header, isNamed: true) } catch {
            guard error.isDiskFull else { throw .file(error) }
            removeRefused(header)
            return false
        }
        do throws(FileError) {
            try fileSystem.rename(temporaryPath(of: successor.name), to: directory.path(of: successor.name))
        } catch {
            successor.file.close()
            guard error.isDiskFull else { throw .file(error) }
            removeRefused(header)
            return false
        }
        // From here on the old segment may be sealed: a failure is final, whatever its reason. Were anything appended to
        // the old one now, the next start would take the successor for the journal's end.
        do { try fileSystem.syncDirectory(directory.path) } catch { throw .file(error) }
        adopt(successor)
        old.file.close()
        return true
    }

    /// See `JournalStore.close`.
    public func close() {
        active.withLock {
            $0?.file.close()
            $0 = nil
            noteReservation($0)
        }
    }

    /// See `JournalStore.settle`: brings the segment's running hash up to what was appended.
    public func settle() {
        active.withLock { active in
            for bytes in active?.unhashed ?? [] { active?.hash.update(data: bytes) }
            active?.unhashed.removeAll(keepingCapacity: true)
        }
    }

    /// See `JournalStore.room`.
    public func room(wanted: Int64) throws(JournalError) -> Int64 {
        let known = reservedAhead.load(ordering: .relaxed)
        if known >= wanted { return known }
        if let ahead = try extendReservation(to: wanted) { return ahead }
        do { return try fileSystem.freeBytes(directory.path) } catch { throw .file(error) }
    }

    /// Bytes that are reserved behind the last event, extended to `wanted` where the disk has them.
    /// Nil: this file system cannot reserve; judge by what is free.
    private func extendReservation(to wanted: Int64) throws(JournalError) -> Int64? {
        guard canReserve.withLock({ $0 }) else { return nil }
        var failure: FileError?
        let ahead = active.withLock { active -> Int64? in
            guard let open = active else { return 0 }
            if open.reservedEnd - open.size >= wanted { return open.reservedEnd - open.size }
            for extra in [reservation, 0] {
                do throws(FileError) {
                    guard try open.file.reserve(upTo: open.size + wanted + extra) else { return nil }
                    active?.reservedEnd = open.size + wanted + extra
                    noteReservation(active)
                    return wanted + extra
                } catch { if !error.isDiskFull { failure = named(error, open) } }
            }
            return open.reservedEnd - open.size
        }
        if let failure { throw .file(failure) }
        if ahead == nil { canReserve.withLock { $0 = false } }
        return ahead
    }

    /// The descriptor was opened under the temporary name; errors tell the one that the file has now.
    private func named(_ error: FileError, _ open: Active) -> FileError {
        guard open.isNamed, error.path == temporaryPath(of: open.name) else { return error }
        return FileError(operation: error.operation, path: directory.path(of: open.name), errno: error.errno)
    }

    // MARK: - Beginning a segment

    private func begin(_ header: SegmentHeader) throws(JournalError) -> OpenedJournal {
        do { adopt(try prepare(header, isNamed: false)) } catch { throw .file(error) }
        return OpenedJournal(
            last: header.first.previous, activeBytes: Int64(header.encoded().count), activeHasEvents: false)
    }

    /// Writes a segment's header under a temporary name, reserves its space and syncs it.
    private func prepare(_ header: SegmentHeader, isNamed: Bool) throws(FileError) -> Active {
        let name = SegmentName(first: header.first)
        let bytes = header.encoded()
        let file = try fileSystem.open(temporaryPath(of: name), .replace)
        do throws(FileError) {
            try writeAll(bytes, to: file, at: 0)
            let reserved = try reserve(file, upTo: Int64(bytes.count) + reservation)
            try file.sync()
            var hash = SHA256()
            hash.update(data: bytes)
            return Active(
                name: name, file: file, header: header, size: Int64(bytes.count), reservedEnd: reserved, hash: hash,
                last: header.first.previous, isNamed: isNamed)
        } catch {
            file.close()
            throw error
        }
    }

    /// Where a segment stands until it gets its name.
    private func temporaryPath(of name: SegmentName) -> String { directory.path(of: name) + ".tmp" }

    /// Removes a successor that found no room: what there is belongs to the old segment.
    private func removeRefused(_ header: SegmentHeader) {
        do throws(FileError) { try fileSystem.remove(temporaryPath(of: SegmentName(first: header.first))) } catch {
            // It takes room and harms nobody; the next start deletes it.
        }
    }

    /// Gives a segment that was written and synced under its temporary name its own; durable when it returns.
    func giveName(_ name: SegmentName) throws(FileError) {
        try fileSystem.rename(temporaryPath(of: name), to: directory.path(of: name))
        try fileSystem.syncDirectory(directory.path)
    }

    /// Gives back what was reserved behind a file's lines: cut at its own end, it keeps every byte. Crashed before or after,
    /// the file is the same.
    func releaseReservation(of name: SegmentName) throws(FileError) {
        let file: any File
        do throws(FileError) { file = try fileSystem.open(directory.path(of: name), .update) } catch {
            if error.isNotFound { return }
            throw error
        }
        defer { file.close() }
        try file.truncate(toBytes: try file.sizeBytes())
    }

    func adopt(_ segment: Active) {
        active.withLock {
            $0 = segment
            noteReservation($0)
        }
    }

    private func noteReservation(_ active: Active?) {
        reservedAhead.store(active.map { $0.reservedEnd - $0.size } ?? 0, ordering: .relaxed)
    }

    /// Reserves what is usual, or the least where that is too much; returns the end of what is reserved.
    func reserve(_ file: any File, upTo end: Int64) throws(FileError) -> Int64 {
        guard canReserve.withLock({ $0 }) else { return 0 }
        do {
            if try file.reserve(upTo: end) { return end }
        } catch {
            guard error.isDiskFull else { throw error }
            let least = try file.sizeBytes() + Self.leastReservation
            if try file.reserve(upTo: least) { return least }
        }
        canReserve.withLock { $0 = false }
        return 0
    }

    private func continueAfterSealed(_ first: LogPosition, _ hints: RecoveryHints) throws(JournalError) -> OpenedJournal
    {
        var hash = SHA256()
        var number: UInt64 = 0
        var lastTime: LogTime?
        let name = SegmentName(first: first, isCompressed: true)
        guard let file = try directory.open(name) else {
            throw .file(FileError(operation: "open", path: name.text, errno: 2))
        }
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        while let chunk = try chunks.next() {
            for line in chunk.bytes.split(separator: 10, omittingEmptySubsequences: true) {
                if let header = line.withUnsafeBufferPointer({ SegmentHeader($0) }) {
                    number = header.segment
                    hash = SHA256()
                }
                hash.update(data: line)
                hash.update(data: [10])
            }
        }
        let reader = LogReader(directory, from: first, checkingTrailers: true)
        try reader.forEach { line throws(JournalError) in
            lastTime = line.time
            return true
        }
        if let beyond = hints.snapshotBeyond(reader.last) {
            throw .snapshotBeyondEnd(snapshot: beyond.position, path: beyond.path, last: reader.last)
        }
        var opened = try begin(
            SegmentHeader(
                segment: SegmentHeader.number(after: number), first: reader.last.next,
                previousSHA256: hexString(hash.finalize())))
        opened.lastTime = lastTime
        return opened
    }
}
