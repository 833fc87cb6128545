import Crypto
import Synchronization

/// What a compaction did to the journal's files.
public struct CompactionReport: Sendable, Equatable {
    /// Segment files before.
    public var filesBefore = 0
    /// Their bytes.
    public var bytesBefore: Int64 = 0
    /// Segment files after.
    public var filesAfter = 0
    /// Their bytes.
    public var bytesAfter: Int64 = 0

    /// Makes an empty report.
    public init() {}
}

/// Compaction: sealed segments at the best level, small ones merged. No line, hash or segment number changes.
///
/// Order of effects of one merge, and what the next start finds if the power goes between them:
/// 1. `FIRST.jsonl.gz.tmp` written, synced, read back and compared with the lines of the parts: the parts; the `.tmp`
///    goes.
/// 2. Renamed over the first part, the directory synced: the merged file, and the other parts, whose events all stand in
///    it: left-overs, which readers skip and the start removes.
/// 3. The other parts removed, last to first; the directory synced: some or none of the left-overs.
extension LocalJournalStore {
    /// The most bytes of a merged file, unless one part is larger already.
    public static let mergedBytes: Int64 = 64 << 20

    /// See `JournalStore.compact`.
    public func compact(mergedBytes: Int64, sealing seal: () -> Void) throws(JournalError) -> CompactionReport {
        var report = CompactionReport()
        (report.filesBefore, report.bytesBefore) = try sizes()
        seal()
        try compact(mergedBytes: mergedBytes)
        (report.filesAfter, report.bytesAfter) = try sizes()
        return report
    }

    /// See `JournalStore.interrupt`.
    public func interrupt() { isEnding.store(true, ordering: .releasing) }

    /// How many segment files there are, and their bytes.
    private func sizes() throws(JournalError) -> (files: Int, bytes: Int64) {
        var bytes: Int64 = 0
        let names = try directory.segments()
        for name in names {
            do { bytes += try fileSystem.metadata(directory.path(of: name))?.sizeBytes ?? 0 } catch {
                throw .file(error)
            }
        }
        return (names.count, bytes)
    }

    /// Compresses and merges everything before the active segment.
    func compact(mergedBytes: Int64) throws(JournalError) {
        try rewriting.withLock { _ throws(JournalError) in
            while try archiveOldest() { try goOn() }
            // Left-overs of a merge that an error ended.
            try checkContinuity()
            for group in try groups(mergedBytes: mergedBytes) { try merge(group) }
        }
    }

    func goOn() throws(JournalError) {
        guard isEnding.load(ordering: .acquiring) else { return }
        throw .file(FileError(operation: "finish compacting", path: directory.path, errno: 4))
    }

    /// Neighbours that become one file each; what is alone and compressed at the best level already is left out.
    private func groups(mergedBytes: Int64) throws(JournalError) -> [[SegmentName]] {
        guard let newest = active.withLock({ $0?.name }) else { return [] }
        var groups: [[SegmentName]] = []
        var size: Int64 = 0
        for name in try directory.segments() where name.isCompressed && name.first < newest.first {
            let bytes: Int64
            do { bytes = try fileSystem.metadata(directory.path(of: name))?.sizeBytes ?? 0 } catch {
                throw .file(error)
            }
            if !groups.isEmpty, size + bytes <= mergedBytes {
                groups[groups.count - 1].append(name)
                size += bytes
            } else {
                groups.append([name])
                size = bytes
            }
        }
        var due: [[SegmentName]] = []
        for group in groups {
            if group.count == 1, let only = group.first, try isBest(only) { continue }
            due.append(group)
        }
        return due
    }

    /// Whether every member says that it was compressed at the best level.
    private func isBest(_ name: SegmentName) throws(JournalError) -> Bool {
        guard let file = try directory.open(name) else { return false }
        defer { file.close() }
        do throws(FileError) {
            let size = try file.sizeBytes()
            var offset: Int64 = 0
            while offset < size {
                let header = try readBytes(of: file, at: offset, count: GzipMember.headerBytes)
                guard let entry = header.withUnsafeBufferPointer({ GzipMember.entry($0) }), entry.isBest else {
                    return false
                }
                offset += Int64(entry.bytes)
            }
            return offset == size
        } catch { throw .file(error) }
    }

    private func merge(_ parts: [SegmentName]) throws(JournalError) {
        let path = directory.path(of: parts[0])
        let output: AtomicFile
        do { output = try AtomicFile(path, on: fileSystem, pause: pacing) } catch { throw .file(error) }
        var stream = MemberStream(output: output, first: parts[0].first)
        do throws(JournalError) {
            var original = SHA256()
            for part in parts { try take(part, into: &stream, &original) }
            try stream.finish()
            let lines = original.finalize()
            guard try hash(stream.output.temporaryPath, as: parts[0]) == lines else {
                throw .file(FileError(operation: "read back what was written to", path: path + ".tmp", errno: 5))
            }
            do { try stream.output.publish() } catch { throw .file(error) }
        } catch {
            stream.output.abandon()
            throw error
        }
        do throws(FileError) {
            for part in parts.dropFirst().reversed() { try fileSystem.remove(directory.path(of: part)) }
            if parts.count > 1 { try fileSystem.syncDirectory(directory.path) }
        } catch { throw .file(error) }
    }

    /// Adds a part: its lines, or its members as they are where they are at their best already.
    private func take(
        _ name: SegmentName, into stream: inout MemberStream, _ original: inout SHA256
    ) throws(JournalError) {
        guard let file = try directory.open(name) else {
            throw .file(FileError(operation: "open", path: directory.path(of: name), errno: 2))
        }
        defer { file.close() }
        let isBest = try isBest(name)
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        while let chunk = try chunks.next() {
            try goOn()
            original.update(data: chunk.bytes)
            if !isBest { try stream.add(chunk.bytes) }
        }
        if let tail = chunks.takeTail() {
            throw .damage(
                JournalDamage(
                    kind: .torn, file: name.text, byte: tail.offset, position: name.first,
                    detail: "the last line has no newline, though the segment is sealed"))
        }
        if isBest { try stream.addMembers(of: file) }
    }

    func hash(_ path: String, as name: SegmentName) throws(JournalError) -> SHA256.Digest {
        let file: any File
        do { file = try fileSystem.open(path, .read) } catch { throw .file(error) }
        defer { file.close() }
        var hash = SHA256()
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        while let chunk = try chunks.next() { hash.update(data: chunk.bytes) }
        return hash.finalize()
    }
}
