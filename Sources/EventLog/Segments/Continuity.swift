/// Whether the files of a journal follow one another, by what is cheap to look at.
///
/// Of each file: its first line, the chain of its gzip members, its last lines. So a start notices files that are missing,
/// empty, exchanged or cut, without reading a journal of any length; lines in the middle of a file are for whoever reads them
/// (a replay, `verify`, the check in the background).
extension JournalDirectory {
    /// Throws the first damage. Calls `leftOver` with what a merge has left: its events all stand in an earlier file.
    func checkContinuity(_ leftOver: (SegmentName) throws(JournalError) -> Void) throws(JournalError) {
        let names = try segments()
        guard let first = names.first else { return }
        if first.first > LogPosition(1), try historyBegins() == LogPosition(1) {
            throw .damage(
                JournalDamage(
                    kind: .missingSegment, file: first.text, position: LogPosition(1),
                    detail: "the journal begins at seq \(first.first), and no baseline stands for what was before"))
        }
        var before: SegmentEdges?
        for name in names {
            let isActive = name == names.last && !name.isCompressed
            guard let here = try SegmentEdges(self, name, isActive: isActive) else { continue }
            if let before {
                if !isActive, try isLeftOver(here, behind: before) {
                    try leftOver(name)
                    continue
                }
                try check(here, follows: before)
            }
            before = here
        }
    }

    /// Another maker's members do not tell where a file ends: what may be a left-over is read.
    private func isLeftOver(_ here: SegmentEdges, behind before: SegmentEdges) throws(JournalError) -> Bool {
        guard let end = before.last, here.name.first <= end else { return false }
        var last = here.last
        if last == nil { last = try scannedLast(of: here.name) }
        return last.map { $0 <= end } ?? false
    }

    private func check(_ here: SegmentEdges, follows before: SegmentEdges) throws(JournalError) {
        if let last = before.last, here.name.first > last.next {
            // Bit rot may have hidden the end of the file before: then that is what is wrong.
            try readThrough(before.name)
            throw .damage(
                JournalDamage(
                    kind: .missingSegment, file: here.name.text, position: last.next,
                    detail: "the file before it ends at seq \(last)"))
        }
        if let last = before.last, here.name.first <= last {
            throw .damage(
                JournalDamage(
                    kind: .duplicate, file: here.name.text, line: 1, byte: 0, position: last.next,
                    detail: "the file before it ends at seq \(last)"))
        }
        guard let header = here.header, let first = before.header,
            header.segment != SegmentHeader.number(after: first.segment),
            try before.lastNumber(self).map({ header.segment != SegmentHeader.number(after: $0) }) ?? true
        else { return }
        // Behind events that repair took out numbers may jump.
        let (number, hasGap) = try before.end(self)
        guard hasGap ? header.segment < number : header.segment != SegmentHeader.number(after: number) else { return }
        throw .damage(
            JournalDamage(
                kind: .brokenChain, file: here.name.text, line: 1, byte: 0, position: header.first,
                detail: "segment \(header.segment) follows segment \(number)"))
    }

    /// The last position in a file, by reading all of it; nil where it has no event.
    func scannedLast(of name: SegmentName) throws(JournalError) -> LogPosition? {
        guard let file = try open(name) else { return nil }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file)
        var last: LogPosition?
        while let chunk = try chunks.next() { last = lastEvent(in: chunk.bytes) ?? last }
        return last
    }

    /// Reads a sealed file to its end, gzip trailers included. Throws the first damage in it.
    func readThrough(_ name: SegmentName) throws(JournalError) {
        guard let file = try open(name) else {
            throw .file(FileError(operation: "open", path: path(of: name), errno: 2))
        }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file, checkingTrailers: true)
        var checker = LineChecker(from: name.first)
        var isEmpty = true
        while let chunk = try chunks.next() {
            isEmpty = false
            if let failure = checker.check(chunk).failure { throw failure }
        }
        let hasTail = chunks.takeTail() != nil
        guard hasTail || isEmpty else { return }
        throw .damage(
            JournalDamage(
                kind: .torn, file: name.text, position: checker.last.next,
                detail: hasTail ? "the last line has no newline" : "the file is empty"))
    }
}

extension LocalJournalStore {
    /// The same, and left-overs of a merge are removed.
    func checkContinuity() throws(JournalError) {
        try directory.checkContinuity { name throws(JournalError) in
            do throws(FileError) {
                // The merged file may be a rename that was never synced, by a process that was killed there.
                try fileSystem.syncDirectory(directory.path)
                try fileSystem.remove(directory.path(of: name))
                try fileSystem.syncDirectory(directory.path)
            } catch { throw .file(error) }
        }
    }
}
