import EventLog

/// One result file: finds out what it holds, appends whole rows, and gives it a larger header when rows need one.
///
/// Others may append to the file, or replace it, at any time between two of our calls; what we know of it is checked
/// against its identity, size and header before each write, and only what came since is read.
struct ResultFile: Sendable {
    /// The first row of a file.
    struct Header: Sendable {
        /// The columns, without a byte order mark.
        var columns: ResultColumns
        /// The row as it stands, without its line end.
        let raw: [UInt8]
        /// What ends the file's rows: LF, or CRLF where the header has it. Nil: the header itself has no end.
        let lineEnd: [UInt8]?
        /// True when a quote of the header is open at its end.
        let isQuoteOpen: Bool
        /// True when it holds CR without LF outside of quotes: what the first row is cannot be told.
        var hasBareReturns = false

        /// The header's bytes, its line end among them.
        var sizeBytes: Int64 { Int64(raw.count + (lineEnd?.count ?? 0)) }
    }

    /// What we knew when we were last done with the file.
    struct Known: Sendable {
        /// Which file it was.
        let identity: FileIdentity
        /// The header.
        let header: Header
        /// Where the next row belongs: everything before is whole rows.
        let end: Int64
    }

    /// The file as it stands now.
    struct View {
        /// The open file, for reading and writing.
        let file: any File
        /// Which file it is.
        let identity: FileIdentity
        /// Its size.
        let sizeBytes: Int64
        /// Its header; nil for an empty file.
        let header: Header?
        /// What follows the last newline; nil when nothing does. Never the header.
        let tail: CSVRow?
        /// Which of the rows that were asked for it has.
        let present: Set<ResultRowID>
    }

    /// Where the file really is.
    let path: String
    let fileSystem: any FileSystem
    var known: Known?
    /// Rows of batches that failed: they may stand in the file all the same.
    var mayStand: Set<ResultRowID> = []
    /// A sync failed: the kernel may have dropped bytes that it still shows. Only writing them anew helps.
    var needsRewrite = false
    /// Rows with holes were found: what a write left that lost blocks in a power loss. They go when the file is written anew.
    var hasHoles = false
    /// The file was made or renamed, and its directory not synced since: its name may go with the power.
    var isNameUnsynced = false
    /// Files that this one replaced, oldest first.
    var previous: [PreviousFile] = []
    var hasRecovered = false

    /// How often a file is looked at anew when others changed it just then.
    static let maximumLooks = 5

    /// Takes the resolved path; nothing is read yet.
    init(_ path: String, on fileSystem: any FileSystem) {
        self.path = path
        self.fileSystem = fileSystem
    }

    /// Writes the rows that the file lacks and syncs it. `checkingPresence` reads all of it to see which those are.
    mutating func append(
        _ rows: [ResultRow], checkingPresence: Bool, _ outcome: inout ResultOutcome
    ) throws(ResultFilesError) {
        if let refusal = try refusal() { throw refusal }
        var hasBareReturns = false
        do throws(FileError) {
            for _ in 0..<Self.maximumLooks {
                guard let view = try look(for: rows, fromStart: checkingPresence) else {
                    guard try create(rows) else { continue }
                    return settle(rows)
                }
                defer { view.file.close() }
                hasBareReturns = view.header?.hasBareReturns ?? false
                if hasBareReturns { break }
                if try write(rows, to: view, &outcome) { return settle(rows) }
            }
        } catch {
            mayStand.formUnion(rows.map(\.id))
            throw .file(error)
        }
        if hasBareReturns { throw .bareReturns(path: path) }
        throw .changing(path: path)
    }

    /// Why no row can be written to what has the name; nil where it is a file, or nothing has the name.
    private func refusal() throws(ResultFilesError) -> ResultFilesError? {
        do throws(FileError) {
            guard let metadata = try fileSystem.metadata(path), !metadata.isRegular else { return nil }
            return .notRegular(path: path, isDirectory: metadata.isDirectory)
        } catch { throw .file(error) }
    }

    private mutating func settle(_ rows: [ResultRow]) {
        if !mayStand.isEmpty { mayStand.subtract(rows.map(\.id)) }
    }

    /// Writes the rows that the view lacks; false when the file was changed meanwhile.
    private mutating func write(
        _ rows: [ResultRow], to view: View, _ outcome: inout ResultOutcome
    ) throws(FileError) -> Bool {
        let missing = view.present.isEmpty ? rows : rows.filter { !view.present.contains($0.id) }
        var encoder = ResultRowEncoder(view.header?.columns ?? ResultColumns())
        for row in missing { encoder.addColumns(of: row) }
        let isGrowing = encoder.columns.names.count > view.header?.columns.names.count ?? 0
        if isGrowing || needsRewrite || view.header?.lineEnd == nil {
            return try rewrite(view, adding: missing, &encoder, &outcome)
        }
        if missing.isEmpty {
            // The rows are there, but the process that wrote them may have ended before its sync.
            try sync(view.file)
            try syncDirectory()
            try removeSecondName(of: view.identity)
            if let header = view.header {
                known = Known(identity: view.identity, header: header, end: view.tail?.offset ?? view.sizeBytes)
            }
            return true
        }
        var text: [UInt8] = []
        for row in missing {
            encoder.append(row, to: &text)
            text += view.header?.lineEnd ?? [CSVText.newline]
        }
        let beginsOurs = view.tail.map { Self.begins($0, one: missing, &encoder) } ?? false
        return try appendInPlace(text, to: view, cuttingTail: beginsOurs, &outcome)
    }

    /// Appends whole rows to a file with a header: (1) a tail that begins one of our rows is cut; (2) one write: the
    /// end of any other tail, then the rows; (3) one sync. Ends between them: see `ResultFiles`. False when others
    /// changed the file meanwhile.
    mutating func appendInPlace(
        _ rows: [UInt8], to view: View, cuttingTail: Bool, _ outcome: inout ResultOutcome
    ) throws(FileError) -> Bool {
        guard let header = view.header else { preconditionFailure("no header to append to") }
        var text: [UInt8] = []
        var offset = view.sizeBytes
        var ended: EndedRow?
        if let tail = view.tail {
            if cuttingTail {
                offset = tail.offset
            } else {
                if tail.isQuoteOpen { text.append(CSVText.quote) }
                text.append(CSVText.newline)
                ended = EndedRow(path: path, offset: tail.offset, endOffset: offset + Int64(text.count))
            }
        }
        text += rows
        guard try view.file.sizeBytes() == view.sizeBytes else { return false }
        if offset < view.sizeBytes { try view.file.truncate(toBytes: offset) }
        do throws(FileError) { try writeAll(text, to: view.file, at: offset) } catch {
            takeBack(text, from: view.file, at: offset)
            throw error
        }
        try sync(view.file)
        // Whoever made the file may not have synced its name.
        if known == nil || isNameUnsynced { try syncDirectory() }
        known = Known(identity: view.identity, header: header, end: offset + Int64(text.count))
        if let ended { outcome.ended.append(ended) }
        return true
    }

    /// Takes out what a failed write left, so that other rows can follow before ours come again. For the way out after
    /// an error: where this fails too, the rows are looked for, and the torn one is cut, when they come again.
    private func takeBack(_ text: [UInt8], from file: any File, at offset: Int64) {
        do throws(FileError) {
            let size = try file.sizeBytes()
            guard size > offset, size <= offset + Int64(text.count),
                text.starts(with: try readBytes(of: file, at: offset, count: Int(size - offset)))
            else { return }
            try file.truncate(toBytes: offset)
        } catch { return }  // the write's own error is reported; what is left is found by looking (`mayStand`)
    }

    private mutating func sync(_ file: any File) throws(FileError) {
        do throws(FileError) { try file.sync() } catch {
            needsRewrite = true
            throw error
        }
    }

    /// Makes the names in the file's directory durable.
    mutating func syncDirectory() throws(FileError) {
        do throws(FileError) { try fileSystem.syncDirectory(parentDirectory(of: path)) } catch {
            needsRewrite = true
            throw error
        }
        isNameUnsynced = false
    }

    /// A new file: (1) header and rows under `NAME.tmp`, synced; (2) a link gives it the name, so that a file that
    /// somebody else made meanwhile is not replaced; (3) the temporary name goes; (4) the directory is synced.
    /// Ends before (2): nothing stands but a `.tmp`, which the next creation removes. Between (2) and (4): both names
    /// are one whole file, or none is there; the rows are owed, and who finds them there removes `NAME.tmp`. It is never
    /// emptied, as that would empty `NAME` too.
    private mutating func create(_ rows: [ResultRow]) throws(FileError) -> Bool {
        hasRecovered = true
        var encoder = ResultRowEncoder(ResultColumns())
        for row in rows { encoder.addColumns(of: row) }
        var text: [UInt8] = []
        CSVText.appendRow(encoder.columns.names, to: &text)
        let header = Header(
            columns: encoder.columns, raw: text.dropLast(), lineEnd: [CSVText.newline], isQuoteOpen: false)
        for row in rows {
            encoder.append(row, to: &text)
            text.append(CSVText.newline)
        }
        var new = try openTemporary()
        let identity: FileIdentity
        do throws(FileError) {
            try new.append(text)
            try new.finishTemporary()
            guard let metadata = try fileSystem.metadata(new.temporaryPath) else {
                throw FileError(operation: "look at", path: new.temporaryPath, errno: ResultFileErrno.notFound)
            }
            identity = metadata.identity
            isNameUnsynced = true
            try linkOrRename(new.temporaryPath)
        } catch {
            new.abandon()
            guard error.errno == ResultFileErrno.exists else { throw error }
            if try fileSystem.metadata(path) == nil {
                // The name is a link to nowhere. Opening it makes the file there; the next call resolves the path anew.
                try fileSystem.open(path, .update).close()
                throw FileError(operation: "create", path: path, errno: ResultFileErrno.busy)
            }
            return false
        }
        known = Known(identity: identity, header: header, end: header.sizeBytes)
        try removeIfPresent(new.temporaryPath)
        try syncDirectory()
        known = Known(identity: identity, header: header, end: Int64(text.count))
        needsRewrite = false
        return true
    }

    /// Removes `NAME.tmp` where it is this very file: whoever made it ended between steps (2) and (3). The name is durable.
    private mutating func removeSecondName(of identity: FileIdentity) throws(FileError) {
        guard known == nil, try fileSystem.metadata(path + ".tmp")?.identity == identity else { return }
        try removeIfPresent(path + ".tmp")
        try syncDirectory()
    }

    private func linkOrRename(_ temporaryPath: String) throws(FileError) {
        do throws(FileError) { try fileSystem.link(temporaryPath, to: path) } catch {
            guard ResultFileErrno.isLinkUnsupported(error) else { throw error }
            try fileSystem.rename(temporaryPath, to: path)
        }
    }

    /// Opens `NAME.tmp` as a file of its own: a left-over may be a second name of the file itself.
    func openTemporary() throws(FileError) -> AtomicFile {
        try removeIfPresent(path + ".tmp")
        return try AtomicFile(path, on: fileSystem)
    }

    /// Removes a file that may be missing.
    func removeIfPresent(_ path: String) throws(FileError) {
        do throws(FileError) { try fileSystem.remove(path) } catch { if !error.isNotFound { throw error } }
    }

    /// True when the tail is the beginning of one of the rows' lines.
    static func begins(_ tail: CSVRow, one rows: [ResultRow], _ encoder: inout ResultRowEncoder) -> Bool {
        var line: [UInt8] = []
        for row in rows {
            line.removeAll(keepingCapacity: true)
            encoder.append(row, to: &line)
            line += [CSVText.carriageReturn, CSVText.newline]
            if line.starts(with: tail.raw) { return true }
        }
        return false
    }
}
