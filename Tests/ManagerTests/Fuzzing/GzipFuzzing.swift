import TestSupport

@testable import EventLog

/// A sealed journal file. Bits 0 and 1 of `way`: the bytes as they are, lines in one member as another program writes it,
/// or lines in a member of ours; bit 2: the lines' checksums are made right first.
enum GzipFuzzing {
    static func run(_ bytes: [UInt8], way: UInt8) throws {
        let lines = way & 4 == 0 ? bytes : withRightChecksums(bytes)
        let file =
            switch way & 3 {
            case 0: bytes
            case 1: plainGzip(lines)
            case 2: member(lines)
            default: member(lines) + bytes
            }
        try compareInflaters(file)
        let journal = try FuzzedJournal(file, isCompressed: true)
        let refused = try journal.fold().refused
        _ = try? journal.directory.lastPosition(notAfter: LogTime(microseconds: 1_766_185_802_000_000))
        try FuzzedJournal(file, isCompressed: true).checkStart()
        try journal.checkVerifyAndRepair(refused)
    }

    /// A member of ours that begins with seq 1.
    private static func member(_ lines: [UInt8]) -> [UInt8] {
        lines.withUnsafeBufferPointer {
            GzipMember.compress(
                $0, first: LogPosition(1), time: firstEvent(in: $0)?.time ?? LogTime(microseconds: 0), level: 1)
        }
    }

    /// Where zlib reads a file whole, our own inflate gives the same bytes.
    private static func compareInflaters(_ file: [UInt8]) throws {
        guard let expected = inflated(file, checkingTrailers: true) else { return }
        guard let found = inflated(file, checkingTrailers: false) else {
            throw FuzzFinding("inflate refuses what zlib reads")
        }
        if found != expected { throw FuzzFinding("inflate and zlib give different bytes") }
    }

    /// What a file holds, at most 8 MiB of it; nil where it is no whole gzip file.
    private static func inflated(_ file: [UInt8], checkingTrailers: Bool) -> [UInt8]? {
        do throws(JournalError) {
            let journal = try FuzzedPieces(file, checkingTrailers: checkingTrailers)
            return try journal.all()
        } catch { return nil }
    }
}

/// Reads one sealed file piece by piece.
private struct FuzzedPieces {
    private let chunks: SegmentChunks

    init(_ file: [UInt8], checkingTrailers: Bool) throws(JournalError) {
        let fileSystem = SimulatedDisk().process()
        let name = SegmentName(first: LogPosition(1), isCompressed: true)
        do {
            try fileSystem.createDirectories("/data")
            try writeDurably(file, to: "/data/file", on: fileSystem)
            chunks = try SegmentChunks(
                name, file: fileSystem.open("/data/file", .read), checkingTrailers: checkingTrailers)
        } catch { throw (error as? JournalError) ?? .refused("\(error)") }
    }

    func all() throws(JournalError) -> [UInt8] {
        var bytes: [UInt8] = []
        while let chunk = try chunks.next() { bytes += chunk.bytes }
        return bytes + (chunks.takeTail()?.bytes ?? [])
    }
}
