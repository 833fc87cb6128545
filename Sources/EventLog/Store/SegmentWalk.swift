import Crypto

/// Walks over sealed segments: their hashes, and whether each header names the one before.
struct SegmentWalk {
    /// Segments that a header follows, oldest first.
    private(set) var followed: [DiscardedSegment] = []
    /// What the headers behind them say.
    private var stated: [String] = []
    private var current: DiscardedSegment?
    private var hash = SHA256()

    /// The last event of the newest segment that is over.
    var lastSealed: LogPosition? { followed.last?.last }

    /// Whether the header behind a segment names its hash.
    func isFollowed(_ segment: DiscardedSegment) -> Bool {
        followed.firstIndex(of: segment).map { stated[$0] == segment.sha256 } ?? false
    }

    /// Whether the newest header names the hash of one of the segments before.
    var isNewestNamed: Bool { followed.contains { $0.sha256 == stated.last } }

    /// Takes the next lines. `headerOnly`: up to the first header among them, which ends the segment before. Throws
    /// `.damage` where a line's checksum is wrong.
    mutating func take(_ chunk: LineChunk, headerOnly: Bool) throws(JournalError) {
        var failure: JournalError?
        chunk.bytes.withUnsafeBufferPointer { bytes in
            var at = 0
            while at < bytes.count, failure == nil, let end = bytes[at...].firstIndex(of: 10) {
                let line = UnsafeBufferPointer(rebasing: bytes[at..<end])
                let whole = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[at...end]))
                if let header = SegmentHeader(line) {
                    enter(header)
                    if headerOnly { return }
                } else if let position = LogLine(line)?.position ?? GapLine(line)?.last {
                    current?.last = position
                } else {
                    failure = .damage(
                        JournalDamage(
                            kind: .bitRot, file: chunk.file.text, byte: chunk.offset + Int64(at),
                            position: current?.last.next ?? .zero,
                            detail: "the line's checksum is wrong, so nothing is discarded"))
                }
                hash.update(bufferPointer: whole)
                at = end + 1
            }
        }
        if let failure { throw failure }
    }

    private mutating func enter(_ header: SegmentHeader) {
        if var over = current {
            over.sha256 = hexString(hash.finalize())
            followed.append(over)
            stated.append(header.previousSHA256)
        }
        current = DiscardedSegment(
            segment: header.segment, first: header.first, last: header.first.previous, sha256: "")
        hash = SHA256()
    }
}
