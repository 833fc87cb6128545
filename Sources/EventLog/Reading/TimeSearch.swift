/// Finds the place of a moment in the journal without reading the journal: by the first time of each file, then by the
/// members' own words (`EL`) or by halving, then in at most a few hundred kilobytes of lines.
extension JournalDirectory {
    /// The last event whose time is not later; the one before the journal's first where there is none. Only events of
    /// whole commands count, as readers show them.
    public func lastPosition(notAfter time: LogTime) throws(JournalError) -> LogPosition {
        for _ in 0..<100 {
            let names = try segments()
            guard let first = names.first else { return .zero }
            guard let file = try lastFile(of: names, notAfter: time) else { continue }
            guard let name = file.name else { return first.first.previous }
            guard let start = try start(in: name, notAfter: time) else { continue }
            var last = start.previous
            try LogReader(self, from: start).forEach { line throws(JournalError) in
                guard line.time <= time else { return false }
                last = line.position
                return true
            }
            return last
        }
        throw .file(FileError(operation: "find a time in", path: path, errno: 11))
    }

    /// The last file whose first event is not later; `name` is nil where all are. Nil: a file has gone meanwhile.
    private func lastFile(
        of names: [SegmentName], notAfter time: LogTime
    ) throws(JournalError) -> (name: SegmentName?, Void)? {
        var low = 0
        var high = names.count
        while low < high {
            let middle = (low + high) / 2
            guard let file = try open(names[middle]) else { return nil }
            defer { file.close() }
            let begins = try firstTime(names[middle], file)
            if let begins, begins <= time { low = middle + 1 } else { high = middle }
        }
        return (low == 0 ? nil : names[low - 1], ())
    }

    /// The time of a file's first event; nil where it has none.
    private func firstTime(_ name: SegmentName, _ file: any File) throws(JournalError) -> LogTime? {
        if name.isCompressed, let entry = try MemberMap.entry(of: file, at: 0), entry.time.microseconds != 0 {
            return entry.time
        }
        let chunks = try SegmentChunks(name, file: file)
        while let chunk = try chunks.next() {
            if let time = chunk.bytes.withUnsafeBufferPointer({ firstEvent(in: $0)?.time }) { return time }
        }
        return nil
    }

    /// A position in a file from which on to read for the last event that is not later. Nil: the file has gone.
    private func start(in name: SegmentName, notAfter time: LogTime) throws(JournalError) -> LogPosition? {
        guard let file = try open(name) else { return nil }
        defer { file.close() }
        if !name.isCompressed { return try halve(name, file, notAfter: time) }
        var at: Int64 = 0
        var start = name.first
        while let entry = try MemberMap.entry(of: file, at: at), entry.time <= time {
            start = max(start, entry.first)
            at += Int64(entry.bytes)
        }
        return start
    }

    /// Halves a plain file down to a few hundred kilobytes.
    private func halve(
        _ name: SegmentName, _ file: any File, notAfter time: LogTime
    ) throws(JournalError) -> LogPosition {
        var start = name.first
        do throws(FileError) {
            var low: Int64 = 0
            var high = try file.sizeBytes()
            while high - low > Int64(SegmentChunks.chunkBytes) {
                let middle = low + (high - low) / 2
                let bytes = try readBytes(of: file, at: middle, count: 64 << 10)
                let found = bytes.withUnsafeBufferPointer { buffer -> (LogPosition, LogTime)? in
                    guard let newline = buffer.firstIndex(of: 10) else { return nil }
                    let line = firstEvent(in: UnsafeBufferPointer(rebasing: buffer[(newline + 1)...]))
                    return line.map { ($0.position, $0.time) }
                }
                if let found, found.1 <= time {
                    low = middle
                    start = found.0
                } else {
                    high = middle
                }
            }
        } catch { throw .file(error) }
        return start
    }
}

/// What the members of a sealed file say of themselves.
struct MemberMap {
    /// One member and where it begins in the file.
    struct Place {
        var offset: Int64
        var entry: GzipMember.Entry
    }

    /// The members, in order.
    let places: [Place]

    /// Hops over the members of a file; nil where one does not say what it holds: the file is another maker's.
    init?(_ file: any File) throws(JournalError) {
        var places: [Place] = []
        var at: Int64 = 0
        let size: Int64
        do { size = try file.sizeBytes() } catch { throw .file(error) }
        while at < size {
            guard let entry = try Self.entry(of: file, at: at), Int64(entry.bytes) <= size - at else { return nil }
            places.append(Place(offset: at, entry: entry))
            at += Int64(entry.bytes)
        }
        guard !places.isEmpty else { return nil }
        self.places = places
    }

    /// What the member at an offset says of itself; nil where it says nothing, and at the file's end.
    static func entry(of file: any File, at offset: Int64) throws(JournalError) -> GzipMember.Entry? {
        let header: [UInt8]
        do { header = try readBytes(of: file, at: offset, count: GzipMember.headerBytes) } catch { throw .file(error) }
        return header.withUnsafeBufferPointer { GzipMember.entry($0) }
    }

    /// The index of the last member that begins at or before a position.
    func index(of position: LogPosition) -> Int? {
        var low = 0
        var high = places.count
        while low < high {
            let middle = (low + high) / 2
            if places[middle].entry.first <= position { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : low - 1
    }

    /// The lines of a member; nil where its bytes are not what a member is.
    func lines(_ index: Int, of file: any File) throws(JournalError) -> [UInt8]? {
        let place = places[index]
        let bytes: [UInt8]
        do { bytes = try readBytes(of: file, at: place.offset, count: place.entry.bytes) } catch { throw .file(error) }
        guard bytes.count == place.entry.bytes, bytes.count > 8 else { return nil }
        return bytes.withUnsafeBufferPointer { input -> [UInt8]? in
            guard case .whole(let header) = GzipFrame.header(input) else { return nil }
            let size = (0..<4).reduce(0) { $0 | Int(input[input.count - 4 + $1]) << (8 * $1) }
            guard size < 1 << 30 else { return nil }
            let inflater = GzipInflater(checkingTrailers: false)
            var taken = header
            var made = 0
            var step = GzipInflater.Step.going
            let lines = [UInt8](unsafeUninitializedCapacity: size) { buffer, filled in
                while step == .going, made < size || taken < input.count {
                    let before = (taken, made)
                    step = inflater.step(input, taken: &taken, into: buffer, made: &made)
                    if step == .going, before == (taken, made) { break }
                }
                filled = made
            }
            return step == .memberEnd && made == size ? lines : nil
        }
    }
}
