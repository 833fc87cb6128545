import EventLog

extension ResultFile {
    /// Writes the file anew with the encoder's columns, its rows and ours, and lets it take the name.
    ///
    /// Order of effects: (1) `NAME.tmp` written and synced; (2) the old file linked as `NAME.previous`, the directory
    /// synced; (3) `NAME.tmp` renamed over `NAME`, the directory synced; (4) rows that others appended to the old file
    /// since it was read are appended to the new one. What the next start finds when it ends
    /// - before (2): the old file, and a `.tmp` that the next rewrite removes;
    /// - between (2) and (3): one file under two names, `NAME.previous` is removed; our rows are owed again;
    /// - after (3): the new file with our rows, and `NAME.previous`, whose rows are compared with it and carried over
    ///   where they are missing (`recoverPrevious`).
    /// False when the file was replaced by somebody meanwhile.
    mutating func rewrite(
        _ view: View, adding rows: [ResultRow], _ encoder: inout ResultRowEncoder, _ outcome: inout ResultOutcome
    ) throws(FileError) -> Bool {
        let oldCount = view.header?.columns.names.count ?? 0
        let header = Self.grown(view.header, encoder.columns)
        let lineEnd = header.lineEnd ?? [CSVText.newline]
        var new = try openTemporary()
        var size: Int64 = 0
        func add(_ bytes: [UInt8]) throws(FileError) {
            try new.append(bytes)
            size += Int64(bytes.count)
        }
        var ended: EndedRow?
        var previousPath: String?
        let identity: FileIdentity
        do throws(FileError) {
            try add(header.raw + lineEnd)
            if let old = view.header, old.lineEnd != nil {
                var reader = CSVFileReader(view.file, from: old.sizeBytes, to: view.sizeBytes)
                while let row = try reader.next() {
                    if hasHoles, row.hasHole { continue }
                    try add(row.padded(by: encoder.columns.names.count - oldCount, lineEnd: lineEnd))
                }
                if let tail = view.tail, !(hasHoles && tail.hasHole),
                    !isBeginning(tail, of: rows, oldColumns: old.columns)
                {
                    let offset = size
                    try add(tail.padded(by: encoder.columns.names.count - oldCount, lineEnd: lineEnd))
                    ended = EndedRow(path: path, offset: offset, endOffset: size)
                }
            }
            var line: [UInt8] = []
            for row in rows {
                line.removeAll(keepingCapacity: true)
                encoder.append(row, to: &line)
                try add(line + lineEnd)
            }
            try new.finishTemporary()
            guard let written = try fileSystem.metadata(new.temporaryPath) else {
                throw FileError(operation: "look at", path: new.temporaryPath, errno: ResultFileErrno.notFound)
            }
            identity = written.identity
            previousPath = try keepPrevious(&outcome)
            guard try fileSystem.metadata(previousPath ?? path)?.identity == view.identity,
                try fileSystem.metadata(path)?.identity == view.identity
            else {
                if let previousPath { try removeIfPresent(previousPath) }
                new.abandon()
                return false
            }
            isNameUnsynced = true
            try fileSystem.rename(new.temporaryPath, to: path)
        } catch {
            new.abandon()
            // The rename may have failed after the link was made; while both are one file, the link is only a name.
            if let previousPath {
                do throws(FileError) { try removeIfPresent(previousPath) } catch let second {
                    // A second name of the same file, which the next scan removes; the first error is the cause.
                    outcome.errors.append(.file(second))
                }
            }
            throw error
        }
        known = Known(identity: identity, header: header, end: header.sizeBytes)
        if let previousPath {
            previous.append(PreviousFile(path: previousPath, columnCount: oldCount, carriedTo: view.sizeBytes))
        }
        try syncDirectory()
        known = Known(identity: identity, header: header, end: size)
        needsRewrite = false
        if hasHoles { outcome.holes.append(path) }
        hasHoles = false
        if let ended { outcome.ended.append(ended) }
        // Our rows are durable, so an error from here on is no error of theirs: a scan carries over what is missing.
        do throws(FileError) {
            if previousPath != nil {
                try carryOver(previous.count - 1, isLast: false, &outcome)
            } else {
                // Without hard links the old file can be read only as long as it is open.
                var old = PreviousFile(path: path, columnCount: oldCount, carriedTo: view.sizeBytes)
                _ = try carryOver(from: view.file, &old, isLast: true, &outcome)
            }
        } catch { outcome.errors.append(.file(error)) }
        return true
    }

    /// The header with the columns that it lacks, everything else as it stands.
    private static func grown(_ old: Header?, _ columns: ResultColumns) -> Header {
        var raw = old?.raw ?? []
        if old?.isQuoteOpen == true { raw.append(CSVText.quote) }
        let oldCount = old?.columns.names.count ?? 0
        for (index, name) in columns.names.enumerated().dropFirst(oldCount) {
            if index > 0 { raw.append(CSVText.comma) }
            CSVText.appendField(name, to: &raw)
        }
        return Header(columns: columns, raw: raw, lineEnd: old?.lineEnd ?? [CSVText.newline], isQuoteOpen: false)
    }

    /// True when the tail begins one of our rows as the old header lays it out.
    private func isBeginning(_ tail: CSVRow, of rows: [ResultRow], oldColumns: ResultColumns) -> Bool {
        var encoder = ResultRowEncoder(oldColumns)
        let fitting = rows.filter { row in
            var trial = encoder
            trial.addColumns(of: row)
            return trial.columns.names.count == oldColumns.names.count
        }
        return Self.begins(tail, one: fitting, &encoder)
    }

    /// Links the file under the next free `NAME.previous` and syncs the directory; nil where there are no hard links.
    private mutating func keepPrevious(_ outcome: inout ResultOutcome) throws(FileError) -> String? {
        if previous.count >= PreviousFile.maximumCount { try retire(0, &outcome) }
        for number in 1...(PreviousFile.maximumCount * 2) {
            let name = PreviousFile.path(number, of: path)
            if try fileSystem.metadata(name) != nil { continue }
            do throws(FileError) { try fileSystem.link(path, to: name) } catch {
                if ResultFileErrno.isLinkUnsupported(error) { return nil }
                throw error
            }
            try syncDirectory()
            return name
        }
        throw FileError(operation: "keep", path: path + ".previous", errno: ResultFileErrno.exists)
    }
}
