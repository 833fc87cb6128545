import EventLog

extension ResultFile {
    /// Looks at the file as it stands; nil when there is none. Reads what came since the last time, or all of it where
    /// it is not the file that we knew, or where rows may stand already; `fromStart`: always all. The caller closes the
    /// view's file.
    mutating func look(for rows: [ResultRow], fromStart: Bool) throws(FileError) -> View? {
        guard try fileSystem.metadata(path)?.isRegular == true else {
            known = nil
            return nil
        }
        if !hasRecovered { try recoverPrevious() }
        let file = try fileSystem.open(path, .update)
        do throws(FileError) {
            let identity = try file.identity()
            let size = try file.sizeBytes()
            if let known, try !stands(known, in: file, identity, size) { self.known = nil }
            var wanted: Set<ResultRowID> = []
            if fromStart || !mayStand.isEmpty { wanted = Set(rows.map(\.id)) }
            if !fromStart { wanted.formIntersection(mayStand) }
            return try scan(file, identity, size, from: wanted.isEmpty && !fromStart ? known : nil, wanted: wanted)
        } catch {
            file.close()
            throw error
        }
    }

    /// True when the open file is still the one that we knew, maybe longer.
    private func stands(
        _ known: Known, in file: any File, _ identity: FileIdentity, _ size: Int64
    ) throws(FileError) -> Bool {
        guard known.identity == identity, known.end <= size else { return false }
        let end = known.header.lineEnd ?? []
        let expected = known.header.raw + end
        // An editor may write another header over this one without changing the size.
        guard try readBytes(of: file, at: 0, count: expected.count) == expected else { return false }
        let last = try readBytes(of: file, at: known.end - 1, count: 1)
        return last == [CSVText.newline]
    }

    private mutating func scan(
        _ file: any File, _ identity: FileIdentity, _ size: Int64, from known: Known?, wanted: Set<ResultRowID>
    ) throws(FileError) -> View {
        var reader = CSVFileReader(file, from: known?.end ?? 0, to: size)
        var header = known?.header
        if header == nil {
            if let first = try reader.next() {
                header = Header(first)
            } else if let first = reader.tail {
                return View(
                    file: file, identity: identity, sizeBytes: reader.endOffset, header: Header(first), tail: nil,
                    present: [])
            }
        }
        var present: Set<ResultRowID> = []
        // After a crash, what we had not synced may have holes. A file of zeros in its header is another kind of text.
        let looksForHoles = known == nil && header?.raw.contains(0) == false
        while let row = try reader.next() {
            if looksForHoles, row.hasHole {
                (hasHoles, needsRewrite) = (true, true)
                continue
            }
            guard !wanted.isEmpty, let columns = header?.columns, let id = ResultRowID(row, columns) else { continue }
            if wanted.contains(id) { present.insert(id) }
        }
        if looksForHoles, reader.tail?.hasHole == true { (hasHoles, needsRewrite) = (true, true) }
        return View(
            file: file, identity: identity, sizeBytes: reader.endOffset, header: header, tail: reader.tail,
            present: present)
    }
}

extension ResultFile.Header {
    private static let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

    /// Reads the first row of a file as its header.
    init(_ row: CSVRow) {
        var names = row.fields.indices.map { row.value($0) }
        if let first = names.first, first.starts(with: Self.byteOrderMark) {
            names[0] = Array(first.dropFirst(Self.byteOrderMark.count))
            // The mark hides the first name's quotes from the reader.
            if names[0].first == CSVText.quote {
                var reader = CSVReader(names[0])
                while reader.next() != nil {}
                names[0] = reader.tail?.value(0) ?? names[0]
            }
        }
        let end = row.lineEnd
        self.init(
            columns: ResultColumns(names), raw: row.raw.dropLast(end.count), lineEnd: row.isWhole ? end : nil,
            isQuoteOpen: row.isQuoteOpen)
        hasBareReturns = row.hasBareReturn || (!row.isWhole && row.raw.last == CSVText.carriageReturn)
    }
}

extension CSVRow {
    /// What ends the row: LF, CRLF, or nothing.
    var lineEnd: [UInt8] {
        guard isWhole else { return [] }
        let hasReturn = raw.count > 1 && raw[raw.count - 2] == CSVText.carriageReturn
        return hasReturn ? [CSVText.carriageReturn, CSVText.newline] : [CSVText.newline]
    }

    /// The row with so many empty fields more, an open quote closed, and a line end. A blank line stays blank.
    func padded(by columns: Int, lineEnd end: [UInt8]) -> [UInt8] {
        let own = lineEnd
        if isBlank { return isWhole ? raw : raw + end }
        var line = Array(raw.dropLast(own.count))
        if isQuoteOpen { line.append(CSVText.quote) }
        line += repeatElement(CSVText.comma, count: columns)
        return line + (isWhole ? own : end)
    }
}
