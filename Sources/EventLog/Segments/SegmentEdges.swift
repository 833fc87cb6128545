/// The beginning and the end of one journal file, as far as they are told without reading it whole.
struct SegmentEdges {
    /// The file.
    let name: SegmentName
    /// Its first line; nil in an active segment whose header is broken, which recovery names.
    let header: SegmentHeader?
    /// The last position in it; nil in the active segment, and where another maker's members do not tell.
    private(set) var last: LogPosition?

    /// Looks at a file; nil where it has just gone. Throws the damage that is seen.
    init?(_ directory: JournalDirectory, _ name: SegmentName, isActive: Bool) throws(JournalError) {
        guard let file = try directory.open(name) else { return nil }
        defer { file.close() }
        self.name = name
        let size: Int64
        do { size = try file.sizeBytes() } catch { throw .file(error) }
        if size == 0, !isActive { throw Self.damage(.torn, name, line: 1, name.first, "the file is empty") }
        let map = name.isCompressed ? try Self.members(of: file, size, name) : nil
        let line = try Self.firstLine(of: file, name)
        header = line.withUnsafeBufferPointer { SegmentHeader($0) }
        if isActive { return }
        guard let header else { throw Self.damage(.header, name, line: 1, name.first, LineChecker.noHeader) }
        guard header.format <= SegmentHeader.currentFormat else {
            throw .newerFormat(found: header.format, supported: SegmentHeader.currentFormat, file: name.text)
        }
        guard header.first == name.first else {
            throw Self.damage(
                .header, name, line: 1, name.first, "the header says that the file begins at seq \(header.first)")
        }
        if let map { last = try Self.lastPosition(in: file, name, from: map) }
        if !name.isCompressed { last = try Self.lastPosition(in: file, name, size, header) }
    }

    /// The number of the last segment in the file, from its last members; nil where these do not tell.
    func lastNumber(_ directory: JournalDirectory) throws(JournalError) -> UInt64? {
        guard name.isCompressed else { return header?.segment }
        guard let file = try directory.open(name) else { return nil }
        defer { file.close() }
        guard let map = try MemberMap(file) else { return nil }
        for index in map.places.indices.reversed() {
            guard let lines = try map.lines(index, of: file) else { return nil }
            if let found = Self.lastHeader(in: lines) { return found.segment }
        }
        return nil
    }

    /// The number of the last segment in the file, and whether events are missing in it, by reading all of it.
    func end(_ directory: JournalDirectory) throws(JournalError) -> (number: UInt64, hasGap: Bool) {
        var (number, hasGap) = (header?.segment ?? 0, false)
        guard let file = try directory.open(name) else { return (number, hasGap) }
        defer { file.close() }
        let chunks = try SegmentChunks(name, file: file)
        while let chunk = try chunks.next() {
            Self.forEachLine(of: chunk.bytes) { line in
                if let header = SegmentHeader(line) {
                    (number, hasGap) = (header.segment, false)
                } else if GapLine(line) != nil {
                    hasGap = true
                }
            }
        }
        return (number, hasGap)
    }

    // MARK: - Looking

    /// Where each member begins that says so; nil for another maker's file. Together they must make up the file.
    private static func members(
        of file: any File, _ size: Int64, _ name: SegmentName
    ) throws(JournalError) -> LogPosition? {
        var at: Int64 = 0
        var first: LogPosition?
        while at < size {
            guard let entry = try MemberMap.entry(of: file, at: at) else {
                let bytes: [UInt8]
                do { bytes = try readBytes(of: file, at: at, count: 3) } catch { throw .file(error) }
                if first == nil || bytes == [0x1F, 0x8B, 8] { return nil }
                throw damage(
                    .bitRot, name, line: nil, first ?? name.first,
                    "what follows its gzip members from byte \(at) of the file on is none")
            }
            guard entry.first >= name.first else {
                throw damage(
                    .bitRot, name, line: nil, name.first, "a gzip member says that it begins with seq \(entry.first)")
            }
            at += Int64(entry.bytes)
            first = entry.first
        }
        if at > size {
            throw damage(
                .torn, name, line: nil, first ?? name.first,
                "its gzip members end at byte \(at), the file at byte \(size)")
        }
        return first
    }

    private static func firstLine(of file: any File, _ name: SegmentName) throws(JournalError) -> [UInt8] {
        guard name.isCompressed else {
            do { return Array(try readBytes(of: file, at: 0, count: 4096).prefix { $0 != 10 }) } catch {
                throw .file(error)
            }
        }
        return try SegmentChunks(name, file: file).next().map { Array($0.bytes.prefix { $0 != 10 }) } ?? []
    }

    /// Of a compressed file of ours: from its last member alone.
    private static func lastPosition(
        in file: any File, _ name: SegmentName, from lastMember: LogPosition
    ) throws(JournalError) -> LogPosition? {
        let chunks = try SegmentChunks(name, file: file, skippingTo: lastMember, checkingTrailers: true)
        var last: LogPosition?
        while let chunk = try chunks.next() {
            var isBroken = false
            forEachLine(of: chunk.bytes) { line in
                if let event = LogLine(line)?.position ?? GapLine(line)?.last {
                    if !isBroken { last = event }
                } else if SegmentHeader(line) == nil {
                    isBroken = true
                }
            }
            if isBroken {
                throw damage(.bitRot, name, line: nil, (last ?? lastMember).next, "a line's checksum is wrong")
            }
        }
        if chunks.takeTail() != nil {
            throw damage(
                .bitRot, name, line: nil, (last ?? lastMember).next,
                "the last line has no newline, though the segment is sealed")
        }
        return last
    }

    /// Of a plain file that another follows: from its last line.
    private static func lastPosition(
        in file: any File, _ name: SegmentName, _ size: Int64, _ header: SegmentHeader
    ) throws(JournalError) -> LogPosition? {
        var count: Int64 = 64 << 10
        while true {
            let start = max(0, size - count)
            let bytes: [UInt8]
            do { bytes = try readBytes(of: file, at: start, count: Int(size - start)) } catch { throw .file(error) }
            guard bytes.last == 10 else {
                throw damage(
                    .torn, name, line: nil, name.first, "the last line has no newline, though another file follows")
            }
            guard let newline = bytes.dropLast().lastIndex(of: 10) else {
                // Its one line is the header.
                if start == 0 { return header.first.previous }
                count *= 8
                continue
            }
            let position = bytes[(newline + 1)..<(bytes.count - 1)].withUnsafeBufferPointer {
                LogLine($0)?.position ?? GapLine($0)?.last
            }
            guard let position else {
                throw damage(
                    .bitRot, name, line: nil, name.first,
                    "its last line's checksum is wrong, though another file follows"
                )
            }
            return position
        }
    }

    private static func lastHeader(in lines: [UInt8]) -> SegmentHeader? {
        var found: SegmentHeader?
        forEachLine(of: lines) { line in if let header = SegmentHeader(line) { found = header } }
        return found
    }

    private static func forEachLine(of lines: [UInt8], _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        lines.withUnsafeBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            var at = 0
            while let end = lineEnd(in: buffer, from: at) {
                body(UnsafeBufferPointer(start: base + at, count: end - at))
                at = end + 1
            }
        }
    }

    private static func damage(
        _ kind: JournalDamage.Kind, _ name: SegmentName, line: Int?, _ position: LogPosition, _ detail: String
    ) -> JournalError {
        .damage(
            JournalDamage(
                kind: kind, file: name.text, line: line, byte: line.map { _ in 0 }, position: position, detail: detail))
    }
}
