import Crypto

/// One journal file that is written anew, and the bytes that are moved aside from it.
final class MendedFile {
    private let directory: JournalDirectory
    private let name: SegmentName
    private var output: AtomicFile
    private var members: MemberStream?
    private var pending: [UInt8] = []
    private var hash = SHA256()

    /// Opens `NAME.tmp`.
    init(_ directory: JournalDirectory, _ name: SegmentName) throws(JournalError) {
        self.directory = directory
        self.name = name
        do { output = try AtomicFile(directory.path(of: name), on: directory.fileSystem) } catch { throw .file(error) }
        if name.isCompressed { members = MemberStream(output: output, first: name.first) }
    }

    /// Adds bytes at the end.
    func add(_ bytes: some Collection<UInt8>) throws(JournalError) {
        pending += bytes
        if pending.count >= GzipMember.targetBytes { try flush() }
    }

    /// Keeps bytes under a name, durable when it returns.
    func quarantine(_ file: String, _ bytes: [UInt8]) throws(JournalError) {
        do throws(FileError) {
            var kept = try AtomicFile(directory.path + "/" + file, on: directory.fileSystem)
            do throws(FileError) {
                try kept.append(bytes)
                try kept.commit()
            } catch {
                kept.abandon()
                throw error
            }
        } catch { throw .file(error) }
    }

    /// Makes the file durable, reads it back, and puts it in the place of the old one.
    func publish() throws(JournalError) {
        try flush()
        if var stream = members {
            try stream.finish()
            output = stream.output
        } else {
            do { try output.finishTemporary() } catch { throw .file(error) }
        }
        guard try readBack() == hash.finalize() else {
            throw .file(FileError(operation: "read back what was written to", path: output.temporaryPath, errno: 5))
        }
        do { try output.publish() } catch { throw .file(error) }
    }

    /// Removes the old file instead, of which everything was moved aside.
    func remove() throws(JournalError) {
        output.abandon()
        do throws(FileError) {
            try directory.fileSystem.remove(directory.path(of: name))
            try directory.fileSystem.syncDirectory(directory.path)
        } catch { throw .file(error) }
    }

    /// Gives up; the old file stays.
    func abandon() { output.abandon() }

    private func flush() throws(JournalError) {
        guard !pending.isEmpty else { return }
        hash.update(data: pending)
        if members == nil {
            do { try output.append(pending) } catch { throw .file(error) }
        } else {
            try members?.add(pending)
        }
        pending.removeAll(keepingCapacity: true)
    }

    private func readBack() throws(JournalError) -> SHA256.Digest {
        let file: any File
        do { file = try directory.fileSystem.open(output.temporaryPath, .read) } catch { throw .file(error) }
        defer { file.close() }
        var hash = SHA256()
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        while let chunk = try chunks.next() { hash.update(data: chunk.bytes) }
        if let tail = chunks.takeTail() { hash.update(data: tail.bytes) }
        return hash.finalize()
    }
}
