/// A directory that discarded segments are moved to: a data directory of its own, for every verb that reads.
public struct JournalArchive: Sendable {
    private let directory: JournalDirectory

    /// `path`: the archive; its journal is in `journal/` below.
    public init(_ path: String, on fileSystem: any FileSystem) {
        directory = JournalDirectory(path + "/journal", on: fileSystem)
    }

    /// The path of its journal.
    public var journalPath: String { directory.path }

    /// Throws where it is the journal's own directory, by whatever name, holds another journal, or would have a hole.
    /// Nothing is written.
    func check(_ plan: DiscardPlan, from journal: JournalDirectory) throws(JournalError) {
        if try identity(of: journal) == identity(of: directory) {
            throw .refused(
                "\(directory.path) is the journal itself: name another --archive. Nothing was discarded")
        }
        guard let first = plan.segments.first, let newest = try directory.segments().last else { return }
        guard try isOf(journal, newest) else {
            throw .refused(
                "\(directory.path) holds another journal: name another --archive, or an empty directory. Nothing was "
                    + "discarded")
        }
        let end = try directory.scannedLast(of: newest) ?? newest.first.previous
        guard end.next >= first.first else {
            throw .refused(
                "\(directory.path) ends at seq \(end), and what would be moved there begins at seq \(first.first): "
                    + "name another --archive. Nothing was discarded")
        }
    }

    /// Copies the baselines, when all segments before them have been taken.
    func finish(from journal: JournalDirectory) throws(JournalError) {
        for name in try baselines(of: journal) { try copy(name, from: journal) }
    }

    private func identity(of journal: JournalDirectory) throws(JournalError) -> FileIdentity? {
        do { return try journal.fileSystem.metadata(journal.path)?.identity } catch { throw .file(error) }
    }

    private func baselines(of journal: JournalDirectory) throws(JournalError) -> [String] {
        do throws(FileError) { return try journal.baselines().map { "baseline-\($0).json.gz" } } catch {
            throw .file(error)
        }
    }

    /// Whether the segments here are of a journal: it has the same baseline, or the newest of these files, or its first
    /// header follows one of them.
    private func isOf(_ journal: JournalDirectory, _ newest: SegmentName) throws(JournalError) -> Bool {
        for name in try baselines(of: journal) + [newest.text] where try holds(name, of: journal) { return true }
        var walk = SegmentWalk()
        guard let oldest = try journal.segments().first, let next = try journal.open(oldest) else { return false }
        defer { next.close() }
        guard let own = try directory.open(newest) else { return false }
        defer { own.close() }
        let chunks = try SegmentChunks(newest, file: own)
        while let chunk = try chunks.next() { try walk.take(chunk, headerOnly: false) }
        if let chunk = try SegmentChunks(oldest, file: next).next() { try walk.take(chunk, headerOnly: true) }
        return walk.isNewestNamed
    }

    private func holds(_ name: String, of journal: JournalDirectory) throws(JournalError) -> Bool {
        do throws(FileError) {
            let own = directory.path + "/" + name
            guard try directory.fileSystem.metadata(own) != nil,
                try journal.fileSystem.metadata(journal.path + "/" + name) != nil
            else { return false }
            return try readWholeFile(own, on: directory.fileSystem)
                == readWholeFile(journal.path + "/" + name, on: journal.fileSystem)
        } catch { throw .file(error) }
    }

    /// Copies a segment's file.
    func take(_ name: SegmentName, from journal: JournalDirectory) throws(JournalError) {
        try copy(name.text, from: journal)
    }

    /// Copies a file, durable before it returns; one that stands there with the same bytes stays.
    private func copy(_ name: String, from journal: JournalDirectory) throws(JournalError) {
        let path = directory.path + "/" + name
        do throws(FileError) {
            let bytes = try readWholeFile(journal.path + "/" + name, on: journal.fileSystem)
            try directory.fileSystem.createDirectories(directory.path)
            if try directory.fileSystem.metadata(path) != nil,
                try readWholeFile(path, on: directory.fileSystem) == bytes
            {
                return
            }
            var file = try AtomicFile(path, on: directory.fileSystem)
            do throws(FileError) {
                try file.append(bytes)
                try file.finishTemporary()
                guard try readWholeFile(file.temporaryPath, on: directory.fileSystem) == bytes else {
                    throw FileError(operation: "read back what was written to", path: file.temporaryPath, errno: 5)
                }
                try file.publish()
            } catch {
                file.abandon()
                throw error
            }
        } catch { throw .file(error) }
    }
}
