import EventLog

extension ResultFile {
    /// True while a file that this one replaced may still grow.
    var hasPrevious: Bool { !previous.isEmpty }

    /// Finds what a crash left of growing headers, and carries rows over from it.
    mutating func recover(_ outcome: inout ResultOutcome) throws(ResultFilesError) {
        do throws(FileError) {
            if !hasRecovered { try recoverPrevious() }
            for index in previous.indices { try carryOver(index, isLast: false, &outcome) }
        } catch { throw .file(error) }
    }

    /// Carries rows over from the files that this one replaced, and removes those that a scan has seen before.
    mutating func scanPrevious(_ outcome: inout ResultOutcome) throws(ResultFilesError) {
        do throws(FileError) {
            var index = 0
            while index < previous.count {
                previous[index].scans += 1
                if previous[index].scans >= PreviousFile.scansKept {
                    try retire(index, &outcome)
                } else {
                    try carryOver(index, isLast: false, &outcome)
                    index += 1
                }
            }
        } catch { throw .file(error) }
    }

    /// Looks for `NAME.previous` and its like. One that is the file itself is the leaving of a rewrite that ended
    /// before its rename: only the name goes. One whose columns do not begin the file's is not ours and stays.
    mutating func recoverPrevious() throws(FileError) {
        guard let current = try fileSystem.metadata(path), current.isRegular else { return }
        for number in 1...(PreviousFile.maximumCount * 2) {
            let name = PreviousFile.path(number, of: path)
            guard let metadata = try fileSystem.metadata(name), metadata.isRegular else { continue }
            if metadata.identity == current.identity {
                try fileSystem.remove(name)
                try fileSystem.syncDirectory(parentDirectory(of: path))
                continue
            }
            let old = try columnNames(of: name)
            guard !previous.contains(where: { $0.path == name }), try columnNames(of: path).starts(with: old) else {
                continue
            }
            previous.append(PreviousFile(path: name, columnCount: old.count, carriedTo: nil))
        }
        hasRecovered = true
    }

    /// Carries the last rows over and removes the file: (1) the rows are durable in the new file, (2) the name goes,
    /// (3) the directory is synced. Ends between them: the next start compares the two and finds nothing to carry.
    mutating func retire(_ index: Int, _ outcome: inout ResultOutcome) throws(FileError) {
        let path = previous[index].path
        // Where the file that took its place is gone, what is left of the rows is not ours to remove.
        if try carryOver(index, isLast: true, &outcome) {
            try removeIfPresent(path)
            try syncDirectory()
        }
        previous.remove(at: index)
    }

    /// Appends to the file what came to one that it replaced, and what is missing from it after a crash. A last row
    /// without newline waits until it has one, or until `isLast`. False when there is no file to append to.
    @discardableResult
    mutating func carryOver(_ index: Int, isLast: Bool, _ outcome: inout ResultOutcome) throws(FileError) -> Bool {
        guard try fileSystem.metadata(previous[index].path)?.isRegular == true else { return true }
        let source = try fileSystem.open(previous[index].path, .read)
        defer { source.close() }
        var old = previous[index]
        defer { previous[index] = old }
        return try carryOver(from: source, &old, isLast: isLast, &outcome)
    }

    /// As above, from an open file.
    mutating func carryOver(
        from source: any File, _ old: inout PreviousFile, isLast: Bool, _ outcome: inout ResultOutcome
    ) throws(FileError) -> Bool {
        for _ in 0..<Self.maximumLooks {
            guard let view = try look(for: [], fromStart: false) else { return false }
            defer { view.file.close() }
            guard let header = view.header, header.columns.names.count >= old.columnCount else { return false }
            var rows: CarriedRows
            if let start = old.carriedTo {
                rows = try CarriedRows(newIn: source, from: start)
            } else {
                rows = try CarriedRows(
                    missingFrom: view, in: source, added: header.columns.names.count - old.columnCount)
            }
            if isLast, let tail = rows.tail { rows.take(tail) }
            guard !rows.rows.isEmpty else {
                old.carriedTo = rows.end
                return true
            }
            let lineEnd = header.lineEnd ?? [CSVText.newline]
            let text = rows.rows.flatMap {
                $0.padded(by: header.columns.names.count - old.columnCount, lineEnd: lineEnd)
            }
            old.carriedTo = nil
            if try appendInPlace(text, to: view, cuttingTail: false, &outcome) {
                old.carriedTo = rows.end
                outcome.carriedOver += rows.rows.count
                return true
            }
        }
        throw FileError(operation: "append to", path: path, errno: ResultFileErrno.busy)
    }

    private func columnNames(of path: String) throws(FileError) -> [[UInt8]] {
        let file = try fileSystem.open(path, .read)
        defer { file.close() }
        var reader = CSVFileReader(file, from: 0, to: try file.sizeBytes())
        guard let row = try reader.next() ?? reader.tail else { return [] }
        return Header(row).columns.names
    }
}

/// Rows of a replaced file that the new one lacks.
private struct CarriedRows {
    /// The rows, in order.
    private(set) var rows: [CSVRow] = []
    /// A last row without newline that the new file lacks.
    private(set) var tail: CSVRow?
    /// Up to where the replaced file is dealt with.
    private(set) var end: Int64

    /// What was appended behind an offset.
    init(newIn source: any File, from start: Int64) throws(FileError) {
        end = start
        let size = try source.sizeBytes()
        guard size > start else { return }
        var reader = CSVFileReader(source, from: start, to: size)
        while let row = try reader.next() { take(row) }
        tail = reader.tail
    }

    /// What the new file does not have as often, its rows having `added` fields more. The new file begins with all
    /// rows that stood in the old one when it was replaced, so only what follows the common beginning is compared.
    init(missingFrom view: ResultFile.View, in source: any File, added: Int) throws(FileError) {
        let size = try source.sizeBytes()
        var old = CSVFileReader(source, from: 0, to: size)
        var new = CSVFileReader(view.file, from: 0, to: view.sizeBytes)
        end = 0
        guard let header = try old.next(), let newHeader = try new.next() else { return }
        end = header.endOffset
        let lineEnd = newHeader.lineEnd
        var oldRow = try old.next()
        var newRow = try new.next()
        while let row = oldRow, let other = newRow, row.padded(by: added, lineEnd: lineEnd) == other.raw {
            end = row.endOffset
            oldRow = try old.next()
            newRow = try new.next()
        }
        var candidates: [CSVRow] = []
        while let row = oldRow {
            if !row.hasHole { candidates.append(row) }
            end = row.endOffset
            oldRow = try old.next()
        }
        tail = old.tail
        var counts: [[UInt8]: Int] = [:]
        for row in candidates { counts[row.padded(by: added, lineEnd: lineEnd), default: 0] += 1 }
        while let row = newRow {
            if let count = counts[row.raw], count > 0 { counts[row.raw] = count - 1 }
            // Cut or ended when the header grew: it stands there as a whole row.
            if let unfinished = tail, row.raw.starts(with: unfinished.raw) {
                end = unfinished.endOffset
                tail = nil
            }
            newRow = try new.next()
        }
        for row in candidates.reversed() {
            let line = row.padded(by: added, lineEnd: lineEnd)
            guard let count = counts[line], count > 0 else { continue }
            counts[line] = count - 1
            rows.append(row)
        }
        rows.reverse()
    }

    /// Adds a row.
    mutating func take(_ row: CSVRow) {
        rows.append(row)
        end = row.endOffset
    }
}
