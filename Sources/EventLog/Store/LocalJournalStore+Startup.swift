/// What a start tidies and checks before it looks at the newest segment. The journal's lock is held.
extension LocalJournalStore {
    /// Deletes unfinished files: nothing but `.tmp`.
    func removeUnfinished() throws(FileError) {
        var removed = false
        for name in try fileSystem.list(directory.path) where name.hasSuffix(".tmp") {
            try fileSystem.remove(directory.path + "/" + name)
            removed = true
        }
        if removed { try fileSystem.syncDirectory(directory.path) }
    }

    /// Of a sealed segment that stands plain and compressed, removes the plain one, or the other if it is damaged.
    func settleDoubles(_ names: [SegmentName], newest: SegmentName) throws(JournalError) {
        let plain = Set(names.filter { !$0.isCompressed }.map(\.first))
        for name in names where name.isCompressed && plain.contains(name.first) {
            let plainName = SegmentName(first: name.first)
            let isSame = try holdsSame(compressed: name, plain: plainName)
            let goes: SegmentName
            if isSame {
                goes = plainName
            } else {
                goes = try compressedIsGood(name) ? plainName : name
            }
            do {
                // The name that stays may be a rename that was never synced: it must not go with a power loss now.
                try fileSystem.syncDirectory(directory.path)
                try fileSystem.remove(directory.path(of: goes))
                try fileSystem.syncDirectory(directory.path)
            } catch { throw .file(error) }
        }
    }

    private func holdsSame(compressed: SegmentName, plain: SegmentName) throws(JournalError) -> Bool {
        guard let a = try directory.open(compressed), let b = try directory.open(plain) else { return false }
        do throws(JournalError) {
            let left = try SegmentChunks(compressed, file: a, checkingTrailers: true)
            let expected: [UInt8]
            do { expected = try readBytes(of: b, at: 0, count: Int(try b.sizeBytes())) } catch { throw .file(error) }
            var at = 0
            while let chunk = try left.next() {
                guard at + chunk.bytes.count <= expected.count,
                    expected[at..<(at + chunk.bytes.count)].elementsEqual(chunk.bytes)
                else { return false }
                at += chunk.bytes.count
            }
            return at == expected.count
        } catch {
            if case .damage = error { return false }
            throw error
        }
    }

    /// Whether every line of a compressed file is good, and its gzip frame too.
    func compressedIsGood(_ name: SegmentName) throws(JournalError) -> Bool {
        do throws(JournalError) {
            try readThrough(name)
            return true
        } catch {
            if case .damage = error { return false }
            throw error
        }
    }

    /// Reads a sealed file to its end, gzip trailers included. Throws the first damage in it.
    private func readThrough(_ name: SegmentName) throws(JournalError) {
        guard let file = try directory.open(name) else {
            throw .file(FileError(operation: "open", path: directory.path(of: name), errno: 2))
        }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        var checker = LineChecker(from: name.first)
        while let chunk = try chunks.next() {
            if let failure = checker.check(chunk).failure { throw failure }
        }
        if chunks.takeTail() != nil {
            throw .damage(
                JournalDamage(
                    kind: .torn, file: name.text, position: checker.last.next,
                    detail: "the last line has no newline"))
        }
    }

    /// Compares the last position of each sealed file with the first of the next, where the members tell it cheaply;
    /// removes left-overs of a merge, whose events all stand in an earlier file.
    func checkContinuity() throws(JournalError) {
        var last: LogPosition?
        var before: SegmentName?
        for name in try directory.segments() {
            if let last, let before, name.first > last.next {
                // Bit rot may have hidden the end of the file before: then that is what is wrong.
                try readThrough(before)
                throw .damage(
                    JournalDamage(
                        kind: .missingSegment, file: name.text, position: last.next,
                        detail: "the file before it ends at seq \(last)"))
            }
            var here = name.isCompressed ? try lastPosition(of: name) : nil
            // Another maker's members do not tell; what may be a left-over is read.
            if let last, here == nil, name.isCompressed, name.first <= last { here = try scannedLast(of: name) }
            if let last, let here, here <= last, name.first <= last {
                do {
                    // The merged file may be a rename that was never synced, by a process that was killed there.
                    try fileSystem.syncDirectory(directory.path)
                    try fileSystem.remove(directory.path(of: name))
                    try fileSystem.syncDirectory(directory.path)
                } catch { throw .file(error) }
                continue
            }
            last = here
            before = name
        }
    }

    /// The last position in a file, by reading all of it; nil where it has no event.
    private func scannedLast(of name: SegmentName) throws(JournalError) -> LogPosition? {
        guard let file = try directory.open(name) else { return nil }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file)
        var last: LogPosition?
        while let chunk = try chunks.next() { last = lastEvent(in: chunk.bytes) ?? last }
        return last
    }

    /// The last position in a compressed file of ours: of its last member alone. Nil for other makers' files.
    private func lastPosition(of name: SegmentName) throws(JournalError) -> LogPosition? {
        guard let file = try directory.open(name) else { return nil }
        defer { file.close() }
        var offset: Int64 = 0
        var lastFirst: LogPosition?
        do {
            let size = try file.sizeBytes()
            while offset < size {
                let header = try readBytes(of: file, at: offset, count: GzipMember.headerBytes)
                guard let entry = header.withUnsafeBufferPointer({ GzipMember.entry($0) }) else { return nil }
                offset += Int64(entry.bytes)
                lastFirst = entry.first
            }
        } catch { throw .file(error) }
        guard let lastFirst else { return nil }
        let chunks = try SegmentChunks(name, file: file, skippingTo: lastFirst, checkingTrailers: true)
        var last: LogPosition?
        while let chunk = try chunks.next() {
            for line in chunk.bytes.split(separator: 10) {
                let (event, isFrame) = line.withUnsafeBufferPointer {
                    (LogLine($0)?.position ?? GapLine($0)?.last, SegmentHeader($0) != nil)
                }
                if let event { last = event }
                guard event != nil || isFrame else {
                    throw .damage(
                        JournalDamage(
                            kind: .bitRot, file: name.text, position: (last ?? lastFirst).next,
                            detail: "a line's checksum is wrong"))
                }
            }
        }
        if chunks.takeTail() != nil {
            throw .damage(
                JournalDamage(
                    kind: .bitRot, file: name.text, position: (last ?? lastFirst).next,
                    detail: "the last line has no newline, though the segment is sealed"))
        }
        return last
    }
}
