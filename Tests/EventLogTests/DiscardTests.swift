import Foundation
import TestSupport
import Testing

@testable import EventLog

@Suite("Discarded history", .serialized)
struct DiscardTests {
    private let scratch: TemporaryDirectory
    private let disk = LocalFileSystem()

    init() throws { scratch = try TemporaryDirectory() }

    /// Five segments of four events, the last one active.
    private func template() throws -> JournalDirectory {
        let directory = JournalDirectory(scratch.path + "/template", on: disk)
        let store = LocalJournalStore(directory, segmentBytes: 1000)
        var last = try store.open(RecoveryHints()).last
        for segment in 0..<5 {
            if segment > 0 { #expect(try store.seal(next: last.next)) }
            var lines: [UInt8] = []
            let synced = last
            for number in 0..<4 {
                last = last.next
                let body = Array(#""type":"note","note":true,"text":"\#(segment)-\#(number)""#.utf8)
                _ = body.withUnsafeBufferPointer {
                    appendLine(
                        position: last, time: LogTime.now(), body: $0, synced: number == 0 ? synced : nil,
                        hasMore: false, to: &lines)
                }
            }
            try store.append(lines, last: last)
        }
        store.settle()
        store.close()
        return directory
    }

    /// What stands in for a state, written as one is.
    private func baseline(_ directory: JournalDirectory, _ position: LogPosition) throws(JournalError) {
        do throws(FileError) {
            var file = try AtomicFile(directory.baselinePath(position), on: directory.fileSystem)
            do throws(FileError) {
                try file.append(gzipMember(Array("state".utf8)))
                try file.commit()
            } catch {
                file.abandon()
                throw error
            }
        } catch { throw .file(error) }
    }

    /// Discards up to a position; what `open` and `discard` throw.
    private func discard(
        _ path: String, upTo limit: UInt64, archive: String? = nil, on fileSystem: any FileSystem = LocalFileSystem()
    ) throws -> DiscardPlan {
        let directory = JournalDirectory(path, on: fileSystem)
        let store = LocalJournalStore(directory, segmentBytes: 1000)
        defer { store.close() }
        _ = try store.open(RecoveryHints())
        return try store.discard(
            upTo: LogPosition(limit), archive: archive.map { JournalArchive($0, on: fileSystem) }
        ) { plan throws(JournalError) in
            if let last = plan.last { try baseline(directory, last) }
        }
    }

    private func positions(_ directory: JournalDirectory) throws -> [UInt64] {
        var found: [UInt64] = []
        try LogReader(directory).forEach { line throws(JournalError) in
            found.append(line.position.rawValue)
            return true
        }
        return found
    }

    /// Readers see what is there without a gap, up to the end, and nothing is damaged.
    private func expectSound(_ path: String, _ words: String) throws {
        let directory = JournalDirectory(path, on: disk)
        let begins = try directory.historyBegins().rawValue
        #expect(try positions(directory) == Array(begins...20), "\(words)")
        #expect([1, 5, 9, 13].contains(begins), "\(words)")
        let report = try Verifier(directory).run()
        #expect(report.damage.isEmpty && report.last == LogPosition(20), "\(words): \(report.damage)")
    }

    @Test(
        "whatever step it stops at, readers see all from where history begins, and a second time finishes it",
        arguments: [(merged: false, archived: false), (true, false), (false, true), (true, true)])
    func stopAnywhere(merged: Bool, archived: Bool) throws {
        let template = try template()
        if merged {
            let store = LocalJournalStore(template, segmentBytes: 1000)
            _ = try store.open(RecoveryHints())
            try store.compact(mergedBytes: LocalJournalStore.mergedBytes)
            store.close()
            #expect(try template.segments().count == 2)
        }
        let archive = archived ? scratch.path + "/archive" : nil
        func run(_ path: String, _ fileSystem: any FileSystem) throws {
            try FileManager.default.copyItem(atPath: template.path, toPath: path)
            _ = try discard(path, upTo: 14, archive: archive, on: fileSystem)
        }
        func clear() throws {
            for path in [scratch.path + "/run", scratch.path + "/archive"]
            where FileManager.default.fileExists(atPath: path) { try FileManager.default.removeItem(atPath: path) }
        }
        let counting = FailingFileSystem(failingCall: 0)
        try run(scratch.path + "/run", counting)
        #expect(counting.changingCalls > 10)
        for failing in 1...counting.changingCalls {
            for extent in [FailingFileSystem.Extent.once, .fromThenOn] {
                try clear()
                let path = scratch.path + "/run"
                do { try run(path, FailingFileSystem(failingCall: failing, extent)) } catch {
                    #expect(error is JournalError)
                }
                let words = "call \(failing), \(extent)"
                try expectSound(path, words)
                if let archive {
                    let moved = try Verifier(JournalDirectory(archive + "/journal", on: disk)).run()
                    #expect(moved.damage.isEmpty, "\(words): the archive has \(moved.damage)")
                }
                // As the next start does.
                let store = LocalJournalStore(JournalDirectory(path, on: disk), segmentBytes: 1000)
                #expect(try store.open(RecoveryHints()).last == LogPosition(20))
                store.close()
                try expectSound(path, words + ", after the start")
                _ = try discard(path, upTo: 14, archive: archive)
                let left = JournalDirectory(path, on: disk)
                #expect(try left.segments().first?.first == LogPosition(13), "\(words)")
                try expectSound(path, words + ", a second time")
                #expect(try disk.list(path).allSatisfy { !$0.hasSuffix(".tmp") })
                guard let archive else { continue }
                let old = JournalDirectory(archive + "/journal", on: disk)
                #expect(try positions(old).prefix(12).elementsEqual(1...12), "\(words)")
                #expect(try Verifier(old).run().damage.isEmpty, "\(words)")
            }
        }
    }

    @Test("whole segments go, each named with its hash; the active one and what the time does not cover stay")
    func wholeSegments() throws {
        let path = try template().path
        #expect(try discard(path, upTo: 3) == DiscardPlan())
        let plan = try discard(path, upTo: 11)
        #expect(plan.segments.map(\.last.rawValue) == [4, 8])
        #expect(plan.segments.map(\.segment) == [1, 2])
        let directory = JournalDirectory(path, on: disk)
        let name = try #require(try directory.segments().first)
        var header: SegmentHeader?
        let chunks = try SegmentChunks(name, file: try #require(try directory.open(name)))
        if let chunk = try chunks.next() {
            chunk.bytes.withUnsafeBufferPointer { bytes in
                header = bytes.firstIndex(of: 10).flatMap { SegmentHeader(UnsafeBufferPointer(rebasing: bytes[..<$0])) }
            }
        }
        #expect(header?.previousSHA256 == plan.segments.last?.sha256)
        #expect(try discard(path, upTo: 1000).segments.map(\.last.rawValue) == [12, 16])
        #expect(try positions(directory) == [17, 18, 19, 20])
        // Without the baseline the missing events are a damage.
        for position in try directory.baselines() { try disk.remove(directory.baselinePath(position)) }
        #expect(try Verifier(directory).run().damage.first?.kind == .missingSegment)
    }

    @Test("an archive of another journal, or one that would get a hole, is refused before anything goes")
    func archives() throws {
        let path = try template().path
        let archive = scratch.path + "/archive"
        var other = RandomJournal(seed: 1)
        try other.write(events: 30, to: scratch.path + "/other", segmentBytes: 1000)
        let refused = #expect(throws: JournalError.self) {
            _ = try discard(path, upTo: 8, archive: scratch.path + "/other")
        }
        #expect(refused?.description.contains("another journal") == true)
        #expect(try positions(JournalDirectory(path, on: disk)).first == 1)
        _ = try discard(path, upTo: 4, archive: archive)
        _ = try discard(path, upTo: 8)
        let hole = #expect(throws: JournalError.self) { _ = try discard(path, upTo: 12, archive: archive) }
        #expect(hole?.description.contains("ends at seq 4") == true, "\(hole?.description ?? "")")
        #expect(try positions(JournalDirectory(path, on: disk)).first == 9)
    }
}
