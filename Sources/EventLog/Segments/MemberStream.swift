/// Writes lines as gzip members of about 256 KiB of lines, at the best level, and whole members as they are.
struct MemberStream {
    private(set) var output: AtomicFile
    private var pending: [UInt8] = []
    /// The position that a member without events gets: the one before it in the file.
    private var first: LogPosition

    /// Writes to a file; `first` is the first position that it may hold.
    init(output: AtomicFile, first: LogPosition) {
        self.output = output
        self.first = first
    }

    /// Adds whole lines.
    mutating func add(_ lines: [UInt8]) throws(JournalError) {
        pending += lines
        while pending.count > GzipMember.targetBytes,
            let newline = pending[GzipMember.targetBytes...].firstIndex(of: 10)
        {
            try emit(newline + 1)
        }
    }

    /// Adds the members of another file, byte for byte.
    mutating func addMembers(of file: any File) throws(JournalError) {
        try emit(pending.count)
        do throws(FileError) {
            var offset: Int64 = 0
            while true {
                let bytes = try readBytes(of: file, at: offset, count: 256 << 10)
                if bytes.isEmpty { return }
                try output.append(bytes)
                offset += Int64(bytes.count)
            }
        } catch { throw .file(error) }
    }

    /// Writes what is left and makes it durable under the temporary name.
    mutating func finish() throws(JournalError) {
        try emit(pending.count)
        do { try output.finishTemporary() } catch { throw .file(error) }
    }

    private mutating func emit(_ count: Int) throws(JournalError) {
        guard count > 0 else { return }
        let known = first
        let (member, begins) = pending.withUnsafeBufferPointer { bytes -> ([UInt8], LogPosition) in
            let lines = UnsafeBufferPointer(rebasing: bytes[..<count])
            let event = firstEvent(in: lines)
            let begins = event?.position ?? known
            let member = GzipMember.compress(
                lines, first: begins, time: event?.time ?? LogTime(microseconds: 0), level: GzipMember.bestLevel)
            return (member, begins)
        }
        first = begins
        pending.removeFirst(count)
        do { try output.append(member) } catch { throw .file(error) }
    }
}

/// The last position among whole lines: of an event or of a gap; nil where there is none.
func lastEvent(in lines: [UInt8]) -> LogPosition? {
    lines.withUnsafeBufferPointer { bytes in
        var end = bytes.count - 1
        while end > 0 {
            let start = (bytes[..<end].lastIndex(of: 10) ?? -1) + 1
            let line = UnsafeBufferPointer(rebasing: bytes[start..<end])
            if let event = LogLine(line) { return event.position }
            if let gap = GapLine(line) { return gap.last }
            end = start - 1
        }
        return nil
    }
}
