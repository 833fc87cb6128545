import Crypto
import Glibc

/// Checks every byte of a journal: checksums, positions, times, gzip frames and the chain of segments.
public struct Verifier {
    /// What was found.
    public struct Report: Sendable {
        /// Events that are whole and right.
        public var events: UInt64 = 0
        /// Segments, by their headers.
        public var segments: UInt64 = 0
        /// The last event of a whole command.
        public var last = LogPosition.zero
        /// SHA-256 of the last segment from its header through that event's line, in hex; nil without segments.
        public var headSHA256: String?
        /// Bytes at the end that the next start may cut.
        public var tail: UnreadTail?
        /// Places that are not what was written.
        public var damage: [JournalDamage] = []
        /// The checksum of the line at `wantedCRC`'s position, where it was met.
        public var crcs: [LogPosition: UInt32] = [:]
    }

    private let directory: JournalDirectory
    private var report = Report()
    private var hash = SHA256()
    private var segment: UInt64 = 0
    private var file: SegmentName?

    /// `directory`: the journal's. A running manager does not disturb.
    public init(_ directory: JournalDirectory) { self.directory = directory }

    /// Reads everything. `wanted`: positions whose lines' checksums are to be reported. Throws only what is no damage.
    public mutating func run(wanted: Set<LogPosition> = []) throws(JournalError) -> Report {
        do throws(JournalError) {
            let reader = LogReader(directory, from: LogPosition(1), prefetching: true, checkingTrailers: true)
            var events: UInt64 = 0
            var crcs: [LogPosition: UInt32] = [:]
            try reader.forEach { line throws(JournalError) in
                events += 1
                if wanted.contains(line.position) { crcs[line.position] = line.crc }
                return true
            }
            report.events = events
            report.crcs = crcs
            report.last = reader.last
            report.tail = reader.unread
            try checkChain()
        } catch {
            guard case .damage(let damage) = error else { throw error }
            report.damage.append(damage)
        }
        return report
    }

    /// Walks the lines again, hashing each segment, up to the last whole command.
    private mutating func checkChain() throws(JournalError) {
        let source = SegmentSequence(directory, from: LogPosition(1), checkingTrailers: false)
        var isAtEnd = false
        while !isAtEnd, let chunk = try source.next() {
            if chunk.isTail { break }
            file = chunk.file
            var failure: JournalError?
            chunk.bytes.withUnsafeBufferPointer { bytes in
                do throws(JournalError) { isAtEnd = try walk(bytes, chunk) } catch { failure = error }
            }
            if let failure { throw failure }
        }
        if segment > 0 { report.headSHA256 = hexString(hash.finalize()) }
    }

    /// Hashes a chunk's lines; true when the last whole command's end was met.
    private mutating func walk(_ bytes: UnsafeBufferPointer<UInt8>, _ chunk: LineChunk) throws(JournalError) -> Bool {
        var at = 0
        var unhashed = 0
        func hashUp(to end: Int, _ hash: inout SHA256) {
            if end > unhashed {
                hash.update(
                    bufferPointer: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(bytes)[unhashed..<end]))
            }
            unhashed = end
        }
        while at < bytes.count, let newline = bytes[at...].firstIndex(of: 10) {
            let line = UnsafeBufferPointer(rebasing: bytes[at..<newline])
            if SegmentHeader.looksLikeHeader(line), line[2] == 115, line[4] == 103, let header = SegmentHeader(line) {
                hashUp(to: at, &hash)
                try enter(header, at: chunk.offset + Int64(at))
            } else if let event = LogLine(line), event.position >= report.last {
                if event.position == report.last { hashUp(to: newline + 1, &hash) }
                return true
            }
            at = newline + 1
        }
        hashUp(to: bytes.count, &hash)
        return false
    }

    private mutating func enter(_ header: SegmentHeader, at offset: Int64) throws(JournalError) {
        let previous = segment == 0 ? SegmentHeader.noPrevious : hexString(hash.finalize())
        if segment > 0 || header.segment == 1 {
            guard header.previousSHA256 == previous else {
                throw broken(
                    "the hash of the segment before it is \(previous), the header says \(header.previousSHA256)",
                    header, offset)
            }
            guard header.segment == segment + 1 else {
                throw broken("segment \(header.segment) follows segment \(segment)", header, offset)
            }
        }
        segment = header.segment
        report.segments += 1
        hash = SHA256()
    }

    private func broken(_ detail: String, _ header: SegmentHeader, _ offset: Int64) -> JournalError {
        .damage(
            JournalDamage(
                kind: .brokenChain, file: file?.text ?? "", byte: max(0, offset), position: header.first, detail: detail
            ))
    }
}
