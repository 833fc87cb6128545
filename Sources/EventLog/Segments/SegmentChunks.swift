/// A run of whole lines of one journal file, uncompressed.
struct LineChunk {
    /// The lines; the last byte is a newline, except in the file's last chunk (`isTail`).
    var bytes: [UInt8]
    /// The offset of the first byte in the uncompressed file.
    var offset: Int64
    /// The file's name.
    var file: SegmentName
    /// True where the file ended inside a line: the bytes have no newline at their end.
    var isTail = false
}

/// Reads one journal file as chunks of whole lines: plain or gzip of any number of members, by any maker.
final class SegmentChunks {
    /// The bytes of lines that a chunk has at least, but for the last one.
    static let chunkBytes = 512 << 10
    /// No line is longer, and no write that a power loss cut: what has so many bytes and no newline is no journal. So a file
    /// that somebody made up, of zeros packed a thousandfold, takes no more memory than this.
    static let mostBytesOfLine = 32 << 20

    let name: SegmentName
    private let file: any File
    private let checksTrailers: Bool
    private var fileOffset: Int64 = 0
    private var lineOffset: Int64
    private var carry: [UInt8] = []
    private var input: [UInt8] = []
    private var inputTaken = 0
    private var inflater: GzipInflater?
    private var insideMember = false
    /// Where in the file the member begins that is being read.
    private var memberOffset: Int64 = 0
    /// What the extra fields of the members say whose lines have not been compared yet, and where in the bytes that are
    /// being put together these begin.
    private var begun: [(entry: GzipMember.Entry, at: Int)] = []
    private var member: GzipMember.Entry?
    private var atEnd = false
    /// What is wrong behind the lines that were handed out last.
    private var failure: JournalError?

    /// `skippingTo`: hop over members that end before this position; only where the members say what they hold.
    init(
        _ name: SegmentName, file: any File, skippingTo position: LogPosition? = nil, checkingTrailers: Bool = false
    ) throws(JournalError) {
        self.name = name
        self.file = file
        self.checksTrailers = checkingTrailers
        self.lineOffset = 0
        guard let position, position > name.first else { return }
        if name.isCompressed { try skip(to: position) } else { try seek(to: position) }
    }

    /// The next chunk; nil at the end. Of a plain file that still grows, a later call may return more.
    func next() throws(JournalError) -> LineChunk? {
        name.isCompressed ? try nextInflated() : try nextPlain()
    }

    /// Which file is open, to compare with what the name stands for now.
    func identity() throws(JournalError) -> FileIdentity {
        do { return try file.identity() } catch { throw .file(error) }
    }

    /// Bytes of a plain file's unfinished last line, so far.
    var tail: [UInt8] { carry }

    private func nextPlain() throws(JournalError) -> LineChunk? {
        if let failure { throw failure }
        while true {
            var (bytes, count) = try behindCarried { buffer throws(JournalError) in
                do throws(FileError) {
                    return try file.read(at: fileOffset, into: UnsafeMutableRawBufferPointer(buffer))
                } catch { throw .file(error) }
            }
            if count == 0 { return nil }
            fileOffset += Int64(count)
            if let chunk = try wholeLines(of: &bytes) { return chunk }
        }
    }

    /// The carried bytes and what `fill` puts behind them, in one array.
    private func behindCarried(
        _ fill: (UnsafeMutableBufferPointer<UInt8>) throws(JournalError) -> Int
    ) throws(JournalError) -> (bytes: [UInt8], made: Int) {
        var problem: JournalError?
        var made = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: carry.count + max(Self.chunkBytes, carry.count)) {
            buffer, filled in
            filled = carry.count
            _ = buffer.update(fromContentsOf: carry)
            do throws(JournalError) {
                made = try fill(UnsafeMutableBufferPointer(rebasing: buffer[carry.count...]))
            } catch { problem = error }
            filled += made
        }
        if let problem { throw problem }
        return (bytes, made)
    }

    /// Splits at the last newline and carries what is behind it; nil where there is none yet.
    private func wholeLines(of bytes: inout [UInt8]) throws(JournalError) -> LineChunk? {
        guard let newline = lastLineEnd(in: bytes) else {
            guard bytes.count <= Self.mostBytesOfLine else {
                let tooLong = damage("\(bytes.count) bytes follow without a line end, more than a line can have")
                failure = tooLong
                throw tooLong
            }
            carry = bytes
            return nil
        }
        carry = Array(bytes[(newline + 1)...])
        bytes.removeLast(carry.count)
        let chunk = LineChunk(bytes: bytes, offset: lineOffset, file: name)
        lineOffset += Int64(bytes.count)
        return chunk
    }

    /// The bytes behind the last newline as a chunk of their own; nil where there are none.
    func takeTail() -> LineChunk? {
        guard !carry.isEmpty else { return nil }
        defer { carry = [] }
        return LineChunk(bytes: carry, offset: lineOffset, file: name, isTail: true)
    }

    /// The whole lines before a damage come first: who reads on sees how far the file is good.
    private func nextInflated() throws(JournalError) -> LineChunk? {
        if let failure { throw failure }
        while !atEnd {
            var (bytes, _) = try behindCarried { buffer throws(JournalError) in
                var made = 0
                do throws(JournalError) { try fill(buffer, made: &made) } catch {
                    guard case .damage = error else { throw error }
                    failure = error
                }
                return made
            }
            do throws(JournalError) { try compareBeginnings(with: bytes) } catch { failure = failure ?? error }
            let chunk = try wholeLines(of: &bytes)
            if let failure {
                carry = []
                guard let chunk else { throw failure }
                return chunk
            }
            if let chunk { return chunk }
        }
        return nil
    }

    private func fill(_ buffer: UnsafeMutableBufferPointer<UInt8>, made: inout Int) throws(JournalError) {
        while made < buffer.count {
            if inputTaken == input.count {
                do { input = try readBytes(of: file, at: fileOffset, count: 256 << 10) } catch { throw .file(error) }
                inputTaken = 0
                fileOffset += Int64(input.count)
                if input.isEmpty {
                    atEnd = true
                    if insideMember { throw damage("the gzip data end inside a member") }
                    return
                }
            }
            if !insideMember { try enterMember(at: carry.count + made) }
            let inflater = inflater ?? GzipInflater(checkingTrailers: checksTrailers)
            self.inflater = inflater
            let step = input.withUnsafeBufferPointer {
                inflater.step($0, taken: &inputTaken, into: buffer, made: &made)
            }
            switch step {
            case .going: continue
            case .corrupt(let words): throw damage("not gzip data: \(words)")
            case .memberEnd:
                insideMember = false
                inflater.reset()
                try compareLength()
                if !checksTrailers { try skipInput(8) }
            }
        }
    }

    /// Positions the input at the data of the member that begins at `inputTaken`.
    private func enterMember(at offset: Int) throws(JournalError) {
        insideMember = true
        memberOffset = fileOffset - Int64(input.count - inputTaken)
        if checksTrailers {
            // zlib reads the header itself, but not what the extra field says.
            member = try entry(at: memberOffset)
            if let member { begun.append((member, offset)) }
            return
        }
        while true {
            let header = input.withUnsafeBufferPointer {
                GzipFrame.header(UnsafeBufferPointer(rebasing: $0[inputTaken...]))
            }
            switch header {
            case .whole(let size):
                inputTaken += size
                return
            case .foreign: throw damage("not a gzip member")
            case .short:
                let more: [UInt8]
                do { more = try readBytes(of: file, at: fileOffset, count: 64 << 10) } catch { throw .file(error) }
                if more.isEmpty { throw damage("the gzip data end inside a member's header") }
                fileOffset += Int64(more.count)
                input = Array(input[inputTaken...]) + more
                inputTaken = 0
            }
        }
    }

    /// No checksum covers a member's extra field: what it says is compared with what is there.
    private func compareLength() throws(JournalError) {
        let size = fileOffset - Int64(input.count - inputTaken) - memberOffset
        if let member, size != Int64(member.bytes) {
            throw damage("a gzip member of \(size) bytes says that it has \(member.bytes)")
        }
    }

    private func compareBeginnings(with bytes: [UInt8]) throws(JournalError) {
        let all = begun
        begun = []
        for (entry, at) in all where at == 0 || bytes[at - 1] == 10 {
            let lines = Array(bytes[at...])
            if !lines.contains(10) {
                begun = [(entry, 0)]  // its first line comes with the next bytes
            } else if let problem = MemberCheck.problem(entry, lines) {
                throw damage(problem)
            }
        }
    }

    private func skipInput(_ count: Int) throws(JournalError) {
        let here = min(count, input.count - inputTaken)
        inputTaken += here
        guard here < count else { return }
        let size: Int64
        do { size = try file.sizeBytes() } catch { throw .file(error) }
        fileOffset += Int64(count - here)
        input = []
        inputTaken = 0
        if fileOffset > size { throw damage("the gzip data end inside a member's trailer") }
    }

    /// After damaged data: finds the next member that says where it begins and goes on there; false where there is none.
    /// Lines that were begun are dropped; offsets are not known any more.
    func skipDamagedMember() throws(JournalError) -> Bool {
        guard name.isCompressed else { return false }
        var at = memberOffset + 1
        do throws(FileError) {
            while case let bytes = try readBytes(of: file, at: at, count: 256 << 10),
                bytes.count >= GzipMember.headerBytes
            {
                let found = bytes.withUnsafeBufferPointer { buffer in
                    (0...(buffer.count - GzipMember.headerBytes)).first {
                        buffer[$0] == 0x1F && GzipMember.entry(UnsafeBufferPointer(rebasing: buffer[$0...])) != nil
                    }
                }
                if let found {
                    restart(at: at + Int64(found))
                    return true
                }
                at += Int64(bytes.count - GzipMember.headerBytes + 1)
            }
        } catch { throw .file(error) }
        return false
    }

    private func restart(at offset: Int64) {
        fileOffset = offset
        memberOffset = offset
        lineOffset = Int64.min / 2
        carry = []
        input = []
        inputTaken = 0
        inflater = nil
        insideMember = false
        begun = []
        failure = nil
        atEnd = false
    }

    /// Hops over members that lie wholly before a position.
    private func skip(to position: LogPosition) throws(JournalError) {
        var at: Int64 = 0
        while true {
            guard let here = try entry(at: at), let following = try entry(at: at + Int64(here.bytes)),
                following.first <= position
            else { break }
            at += Int64(here.bytes)
        }
        fileOffset = at
        // What the uncompressed offset is, only inflating would tell: report offsets from here on as unknown.
        if at > 0 { lineOffset = Int64.min / 2 }
    }

    /// Finds by halving where in a plain file to begin: at a line that does not lie behind the position.
    private func seek(to position: LogPosition) throws(JournalError) {
        var low: Int64 = 0
        var high: Int64
        do { high = try file.sizeBytes() } catch { throw .file(error) }
        while high - low > Int64(Self.chunkBytes) {
            let middle = low + (high - low) / 2
            guard let line = try firstLine(after: middle, before: high), line.position <= position else {
                high = middle
                continue
            }
            low = line.offset
        }
        fileOffset = low
        lineOffset = low
    }

    /// The first whole event behind an offset; nil where none begins before `end`.
    private func firstLine(after offset: Int64, before end: Int64) throws(JournalError) -> (
        offset: Int64, position: LogPosition
    )? {
        let bytes: [UInt8]
        do { bytes = try readBytes(of: file, at: offset, count: 64 << 10) } catch { throw .file(error) }
        guard let before = bytes.firstIndex(of: 10), let last = bytes[(before + 1)...].firstIndex(of: 10) else {
            return nil
        }
        let position = bytes[(before + 1)..<last].withUnsafeBufferPointer { LogLine($0)?.position }
        let start = offset + Int64(before) + 1
        return position.flatMap { start < end ? (start, $0) : nil }
    }

    private func entry(at offset: Int64) throws(JournalError) -> GzipMember.Entry? {
        let header: [UInt8]
        do { header = try readBytes(of: file, at: offset, count: GzipMember.headerBytes) } catch { throw .file(error) }
        return header.withUnsafeBufferPointer { GzipMember.entry($0) }
    }

    private func damage(_ detail: String) -> JournalError {
        .damage(
            JournalDamage(
                kind: .bitRot, file: name.text, byte: nil, position: name.first, detail: detail))
    }
}
