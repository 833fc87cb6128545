import Crypto

/// The running hash of segments: each header must carry the hash of the segment before it.
struct SegmentChain {
    /// A header that does not fit the segment before it.
    enum Problem {
        /// The numbers do not follow each other: a sentence.
        case number(String)
        /// The hash is another: of which segment, and what it is.
        case hash(segment: UInt64, found: String, stated: String, hasGap: Bool)
    }

    private(set) var segments: UInt64 = 0
    /// True where bytes of the segment are known to be wrong: its hash says nothing new then.
    var isDamaged = false
    /// True where repair took bytes out of the segment.
    var hasGap = false
    /// The number of the segment.
    private(set) var number: UInt64 = 0
    private var hash = SHA256()
    private var headBefore: String?
    private var hasLines = false
    /// Lines of a command that is not whole yet: they belong to the segment, but not to the head hash.
    private var open: [UInt8] = []

    /// The hash of the newest event's segment through the last whole command, in hex; nil without segments.
    var head: String? {
        if segments == 0 { return nil }
        return hasLines ? hexString(hash.finalize()) : headBefore ?? hexString(hash.finalize())
    }

    /// The hash of the segment through the line that was added last.
    var through: String {
        var all = hash
        all.update(data: open)
        return hexString(all.finalize())
    }

    mutating func add(_ line: UnsafeRawBufferPointer, endsCommand: Bool) {
        if endsCommand { hasLines = true }
        if endsCommand, open.isEmpty {
            hash.update(bufferPointer: line)
            return
        }
        open.append(contentsOf: line)
        if endsCommand {
            hash.update(data: open)
            open.removeAll(keepingCapacity: true)
        }
    }

    /// Begins a segment; what does not fit the one before, unless that is damaged anyway.
    mutating func enter(_ header: SegmentHeader, _ line: UnsafeRawBufferPointer) -> Problem? {
        var problem: Problem?
        let before = through
        if segments == 0 {
            if header.segment == 1, header.previousSHA256 != SegmentHeader.noPrevious, !isDamaged {
                problem = .number("the first segment's header names a segment before it")
            }
        } else if !isDamaged {
            // Repair cannot know how many segments were lost with the events of a gap.
            let follows = hasGap ? header.segment >= number : header.segment == SegmentHeader.number(after: number)
            if !follows {
                problem = .number("segment \(header.segment) follows segment \(number)")
            } else if header.previousSHA256 != before {
                problem = .hash(
                    segment: number, found: before, stated: header.previousSHA256, hasGap: hasGap)
            }
        }
        headBefore = head
        segments += 1
        number = header.segment
        isDamaged = false
        hasGap = false
        hasLines = false
        hash = SHA256()
        hash.update(bufferPointer: line)
        open = []
        return problem
    }
}
