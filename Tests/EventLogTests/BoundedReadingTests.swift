import TestSupport
import Testing

@testable import EventLog

/// Files that somebody made up take no more memory than a journal's would.
@Suite("Journal files without ends")
struct BoundedReadingTests {
    private static let plain = SegmentName(first: LogPosition(1))
    private static let sealed = SegmentName(first: LogPosition(1), isCompressed: true)
    private let fileSystem: SimulatedFileSystem
    private let directory: JournalDirectory

    init() throws {
        fileSystem = SimulatedDisk().process()
        try fileSystem.createDirectories("/journal")
        directory = JournalDirectory("/journal", on: fileSystem)
    }

    private func put(_ bytes: [UInt8], as name: SegmentName) throws {
        try writeAll(bytes, to: try fileSystem.open(directory.path(of: name), .replace), at: 0)
    }

    private func damage(_ body: () throws -> Void) -> JournalDamage? {
        do { try body() } catch JournalError.damage(let damage) { return damage } catch { return nil }
        return nil
    }

    @Test("without a line end are refused, named and repaired", arguments: [false, true])
    func noLineEnd(isSealed: Bool) throws {
        var lines = SegmentHeader(segment: 1, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious).encoded()
        lines += [UInt8](repeating: 0, count: SegmentChunks.mostBytesOfLine + (2 << 20))
        let name = isSealed ? Self.sealed : Self.plain
        try put(isSealed ? plainGzip(lines) : lines, as: name)
        #expect(damage { try LogReader(directory).forEach { _ in true } }?.file == name.text)
        #expect(try Verifier(directory).run().damage.map(\.file) == [name.text])
        let repair = JournalRepair(directory, stateBeyond: { _ in nil })
        try repair.apply(try repair.plan())
        #expect(try Verifier(directory).run().damage.isEmpty)
    }

    @Test("whose command has no end are refused")
    func noCommandEnd() throws {
        var lines = SegmentHeader(segment: 1, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious).encoded()
        let body = Array((#""type":"note","note":true,"text":""# + String(repeating: "x", count: 1 << 20) + "\"").utf8)
        for number in 1...4 {
            _ = body.withUnsafeBufferPointer {
                appendLine(
                    position: LogPosition(UInt64(number)), time: LogTime(microseconds: 0), body: $0, synced: nil,
                    hasMore: true, to: &lines)
            }
        }
        var checker = LineChecker(from: LogPosition(1), mostBytesOfCommand: 2 << 20)
        try put(plainGzip(lines), as: Self.sealed)
        let chunks = try SegmentChunks(Self.sealed, file: fileSystem.open(directory.path(of: Self.sealed), .read))
        var failure: JournalError?
        while failure == nil, let chunk = try chunks.next() { failure = checker.check(chunk).failure }
        guard case .damage(let damage) = failure else { throw SimulationFailure("\(String(describing: failure))") }
        #expect(damage.detail.contains("has no end"))
    }

    @Test("whose last command has no end before another file are refused", arguments: [10, 3000])
    func noEndBeforeAnother(bytesOfText: Int) throws {
        func segment(_ number: UInt64, first: UInt64, hasMore: Bool, text: String) -> [UInt8] {
            var lines = SegmentHeader(
                segment: number, first: LogPosition(first), previousSHA256: SegmentHeader.noPrevious
            ).encoded()
            _ = Array(#""type":"note","note":true,"text":"\#(text)""#.utf8).withUnsafeBufferPointer {
                appendLine(
                    position: LogPosition(first), time: LogTime(microseconds: 0), body: $0, synced: nil,
                    hasMore: hasMore, to: &lines)
            }
            return lines
        }
        try put(segment(1, first: 1, hasMore: true, text: String(repeating: "x", count: bytesOfText)), as: Self.plain)
        try put(segment(2, first: 2, hasMore: false, text: ""), as: SegmentName(first: LogPosition(2)))
        #expect(damage { try LogReader(directory).forEach { _ in true } }?.detail.contains("unfinished") == true)
    }

    @Test("whose members say more bytes than there are, and whose segments have the greatest number, end no reader")
    func madeUpNumbers() throws {
        let header = SegmentHeader(segment: .max, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious)
            .encoded()
        var member = gzipMember(header)
        member.replaceSubrange(16..<24, with: [0, 0, 0, 0, 0xFF, 0, 0, 0])
        try put(member, as: Self.sealed)
        let second = SegmentHeader(segment: 0, first: LogPosition(2), previousSHA256: SegmentHeader.noPrevious)
            .encoded()
        try put(second, as: SegmentName(first: LogPosition(2)))
        #expect(try MemberMap(fileSystem.open(directory.path(of: Self.sealed), .read)) == nil)
        #expect(try !Verifier(directory).run().damage.isEmpty)
        let repair = JournalRepair(directory, stateBeyond: { _ in nil })
        _ = try repair.plan()
        #expect(damage { _ = try LocalJournalStore(directory, segmentBytes: 1000).open(RecoveryHints()) } != nil)
    }
}
