/// Writes the first segment of a journal whole: for what comes from elsewhere, all of it or nothing.
///
/// Order of effects: header and commands under `.tmp`, each command written and synced before the next; then the rename
/// and the sync of the directory. Power lost before the rename is durable: the `.tmp` goes at the next start, the journal
/// is as empty as it was. After: everything is there.
public enum FirstSegment {
    /// Whether a journal holds no event yet: no file, or a first segment that is only its header.
    public static func isFree(_ directory: JournalDirectory) throws(JournalError) -> Bool {
        guard let name = try directory.segments().first else { return true }
        guard name == SegmentName(first: LogPosition(1)) else { return false }
        let reader = LogReader(directory)
        return try reader.forEach { _ throws(JournalError) in false } == .reached && reader.unread == nil
    }

    /// Writes the segment; `commands` hands one command after the other to the closure that it is given. All events
    /// carry `time`. The journal must be free and its lock held. Returns the last position.
    public static func write(
        _ directory: JournalDirectory, at time: LogTime,
        commands: ((EncodedCommand) throws(JournalError) -> Void) throws(JournalError) -> Void
    ) throws(JournalError) -> LogPosition {
        let fileSystem = directory.fileSystem
        let path = directory.path(of: SegmentName(first: LogPosition(1)))
        let file: any File
        do throws(FileError) {
            try fileSystem.createDirectories(directory.path)
            file = try fileSystem.open(path + ".tmp", .replace)
        } catch { throw .file(error) }
        defer { file.close() }
        var lines = SegmentHeader(segment: 1, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious).encoded()
        var offset: Int64 = 0
        var last = LogPosition.zero
        try commands { command throws(JournalError) in
            command.bytes.withUnsafeBufferPointer { bodies in
                let before = last
                for index in 0..<command.count {
                    last = last.next
                    _ = appendLine(
                        position: last, time: time, body: UnsafeBufferPointer(rebasing: bodies[command.range(index)]),
                        synced: index == 0 ? before : nil, hasMore: index + 1 < command.count, to: &lines)
                }
            }
            do throws(FileError) {
                try writeAll(lines, to: file, at: offset)
                try file.sync()
            } catch { throw .file(error) }
            offset += Int64(lines.count)
            lines.removeAll(keepingCapacity: true)
        }
        do throws(FileError) {
            try fileSystem.rename(path + ".tmp", to: path)
            try fileSystem.syncDirectory(directory.path)
        } catch { throw .file(error) }
        return last
    }
}
