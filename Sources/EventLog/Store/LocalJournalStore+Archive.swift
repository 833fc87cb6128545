import Synchronization

/// Sealed segments become gzip files of many members.
extension LocalJournalStore {
    /// zlib's level for sealing in the background; compaction recompresses better.
    static let archiveLevel: Int32 = 6

    /// See `JournalStore.archive`.
    public func archive() throws(JournalError) -> Bool {
        try rewriting.withLock { _ throws(JournalError) in try archiveOldest() }
    }

    /// Compresses the oldest sealed segment that is not yet; `rewriting` is held.
    func archiveOldest() throws(JournalError) -> Bool {
        // The active segment is asked for before the files are listed: a segment that is begun in between is later
        // than it and never taken for a sealed one.
        guard let newest = active.withLock({ $0?.name }) else { return false }
        // An error may have ended the last call between the rename and the removal. Were the plain file left, it would
        // come to light again once the compressed one is merged, and its events would stand twice.
        try settleDoubles(try directory.allSegments(), newest: newest)
        guard let name = try directory.segments().first(where: { !$0.isCompressed && $0.first < newest.first })
        else { return false }
        let compressed = SegmentName(first: name.first, isCompressed: true)
        do throws(FileError) {
            let lines = try readWholeFile(directory.path(of: name), on: fileSystem)
            var output = try AtomicFile(directory.path(of: compressed), on: fileSystem, pause: pacing)
            do throws(FileError) {
                for member in members(of: lines, file: name) { try output.append(member()) }
                try output.finishTemporary()
                try compare(output.temporaryPath, with: lines, name: compressed)
                try output.publish()
            } catch {
                output.abandon()
                throw error
            }
            try fileSystem.remove(directory.path(of: name))
            try fileSystem.syncDirectory(directory.path)
        } catch { throw .file(error) }
        return true
    }

    /// The members of a segment, each compressed only when it is asked for.
    private func members(of lines: [UInt8], file: SegmentName) -> [() -> [UInt8]] {
        var members: [() -> [UInt8]] = []
        var start = 0
        while start < lines.count {
            var end = min(start + GzipMember.targetBytes, lines.count)
            if end < lines.count { end = (lines[end...].firstIndex(of: 10) ?? lines.count - 1) + 1 }
            let range = start..<end
            members.append {
                lines.withUnsafeBufferPointer { bytes in
                    let slice = UnsafeBufferPointer(rebasing: bytes[range])
                    let first = firstEvent(in: slice)
                    return GzipMember.compress(
                        slice, first: first?.position ?? file.first, time: first?.time ?? LogTime(microseconds: 0),
                        level: Self.archiveLevel)
                }
            }
            start = end
        }
        return members
    }

    private func compare(_ path: String, with lines: [UInt8], name: SegmentName) throws(FileError) {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var at = 0
        do throws(JournalError) {
            let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
            while let chunk = try chunks.next() {
                guard at + chunk.bytes.count <= lines.count,
                    lines[at..<(at + chunk.bytes.count)].elementsEqual(chunk.bytes)
                else { throw .file(FileError(operation: "read back what was written to", path: path, errno: 5)) }
                at += chunk.bytes.count
            }
        } catch {
            if case .file(let failure) = error { throw failure }
            throw FileError(operation: "read back what was written to", path: path, errno: 5)
        }
        if at != lines.count { throw FileError(operation: "read back what was written to", path: path, errno: 5) }
    }
}

/// The first event among whole lines; nil where there is none.
func firstEvent(in lines: UnsafeBufferPointer<UInt8>) -> LogLine? {
    var at = 0
    while at < lines.count, let end = lines[at...].firstIndex(of: 10) {
        if let line = LogLine(UnsafeBufferPointer(rebasing: lines[at..<end])) { return line }
        at = end + 1
    }
    return nil
}
