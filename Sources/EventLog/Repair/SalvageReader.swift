/// Reads one journal file as far as it can be read: lines, and stretches of bytes that are no gzip data.
///
/// Of a damaged gzip member the lines before the broken place are given, then the whole member as it stands. It goes on
/// at the next member that can be entered.
struct SalvageReader {
    /// One piece, in the file's order.
    enum Piece {
        /// Lines with their newlines; a last one may lack it.
        case lines([UInt8])
        /// Bytes of the file that could not be inflated, or not wholly.
        case broken([UInt8], String)
    }

    private static let pieceBytes = 512 << 10

    private let bytes: [UInt8]
    private let isCompressed: Bool
    /// What a member's extra field says that is not so; nil where all is right. After `forEach`.
    private(set) var frameProblem: String?

    /// The bytes of a whole file.
    init(_ bytes: [UInt8], isCompressed: Bool) {
        self.bytes = bytes
        self.isCompressed = isCompressed
    }

    /// Calls `body` with each piece.
    mutating func forEach(_ body: (Piece) throws(JournalError) -> Void) throws(JournalError) {
        guard isCompressed else { return try plainPieces(body) }
        var at = 0
        var carry: [UInt8] = []
        while at < bytes.count {
            let begun = carry
            switch try inflate(from: at, &carry, body) {
            case .whole(let size): at += size
            case .broken(let words):
                let next = nextMember(after: at)
                if !begun.isEmpty { try body(.broken(begun, words)) }
                try body(.broken(Array(bytes[at..<next]), words))
                carry = []
                at = next
            }
        }
        if !carry.isEmpty { try body(.lines(carry)) }
    }

    private func plainPieces(_ body: (Piece) throws(JournalError) -> Void) throws(JournalError) {
        var at = 0
        while at < bytes.count {
            var end = min(at + Self.pieceBytes, bytes.count)
            if end < bytes.count { end = (bytes[(end - 1)...].firstIndex(of: 10) ?? bytes.count - 1) + 1 }
            try body(.lines(Array(bytes[at..<end])))
            at = end
        }
    }

    private enum Member {
        case whole(Int)
        case broken(String)
    }

    private mutating func inflate(
        from start: Int, _ carry: inout [UInt8], _ body: (Piece) throws(JournalError) -> Void
    ) throws(JournalError) -> Member {
        let entry = bytes[start...].prefix(GzipMember.headerBytes).withUnsafeBufferPointer { GzipMember.entry($0) }
        var isFirst = carry.isEmpty
        let inflater = GzipInflater(checkingTrailers: true)
        var taken = start
        while true {
            var made = 0
            var step = GzipInflater.Step.going
            let before = taken
            let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { buffer, filled in
                step = bytes.withUnsafeBufferPointer { inflater.step($0, taken: &taken, into: buffer, made: &made) }
                filled = made
            }
            let unseen = carry.count
            carry += piece
            if let newline = lastLineEnd(in: carry, from: unseen) {
                let lines = Array(carry[...newline])
                carry.removeFirst(newline + 1)
                if isFirst, let entry { compare(entry, with: lines) }
                isFirst = false
                try body(.lines(lines))
            }
            if carry.count > SegmentChunks.mostBytesOfLine {
                carry = []
                return .broken("more bytes without a line end than a line can have")
            }
            switch step {
            case .memberEnd:
                if let entry, entry.bytes != taken - start {
                    frameProblem = "a gzip member of \(taken - start) bytes says that it has \(entry.bytes)"
                }
                return .whole(taken - start)
            case .corrupt(let words): return .broken("not gzip data: \(words)")
            case .going where made == 0 && (taken == before || taken == bytes.count):
                return .broken("the gzip data end inside a member")
            case .going: continue
            }
        }
    }

    private mutating func compare(_ entry: GzipMember.Entry, with lines: [UInt8]) {
        frameProblem = MemberCheck.problem(entry, lines) ?? frameProblem
    }

    /// Where the next member begins that can be entered; the end of the file where there is none.
    private func nextMember(after start: Int) -> Int {
        bytes.withUnsafeBufferPointer { buffer in
            var at = start + 1
            while at + 18 <= buffer.count {
                if buffer[at] == 0x1F, buffer[at + 1] == 0x8B, buffer[at + 2] == 8,
                    begins(UnsafeBufferPointer(rebasing: buffer[at...]))
                {
                    return at
                }
                at += 1
            }
            return buffer.count
        }
    }

    /// Whether bytes are a member of ours, or one of another maker whose first or second line is a good one.
    private func begins(_ member: UnsafeBufferPointer<UInt8>) -> Bool {
        if GzipMember.entry(member) != nil { return true }
        guard case .whole = GzipFrame.header(member) else { return false }
        let inflater = GzipInflater(checkingTrailers: true)
        var (taken, made) = (0, 0)
        let start = [UInt8](unsafeUninitializedCapacity: 64 << 10) { buffer, filled in
            _ = inflater.step(member, taken: &taken, into: buffer, made: &made)
            filled = made
        }
        return start.split(separator: 10, maxSplits: 3).prefix(2).contains { line in
            line.withUnsafeBufferPointer { LogLine($0) != nil || SegmentHeader($0) != nil }
        }
    }
}

/// Compares what a member's extra field says with the lines that it begins with.
enum MemberCheck {
    /// What is not so; nil where all is right, or where the first lines do not tell.
    static func problem(_ entry: GzipMember.Entry, _ lines: [UInt8]) -> String? {
        lines.withUnsafeBufferPointer { buffer -> String? in
            var at = 0
            while at < buffer.count, let end = lineEnd(in: buffer, from: at) {
                let line = UnsafeBufferPointer(rebasing: buffer[at..<end])
                if let event = LogLine(line) {
                    if event.position != entry.first {
                        return
                            "a gzip member that begins with seq \(event.position) says that it begins with \(entry.first)"
                    }
                    return event.time == entry.time
                        ? nil : "a gzip member that begins at \(event.time) says that it begins at \(entry.time)"
                }
                guard SegmentHeader(line) != nil || GapLine(line) != nil else { return nil }
                at = end + 1
            }
            return nil
        }
    }
}
