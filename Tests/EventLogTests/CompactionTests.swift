import Foundation
import Synchronization
import TestSupport
import Testing

@testable import EventLog

@Suite("Compaction", .serialized)
struct CompactionTests {
    private let scratch: TemporaryDirectory
    private var directory: JournalDirectory { JournalDirectory(scratch.path + "/journal", on: LocalFileSystem()) }

    init() throws { scratch = try TemporaryDirectory() }

    private func writer(_ directory: JournalDirectory, segmentBytes: Int64 = 3000) throws -> LogWriter {
        try directory.openWriter(segmentBytes: segmentBytes).writer
    }

    private func append(_ commands: Int, to writer: LogWriter) {
        for index in 0..<commands {
            let appended = writer.append(sampleCommand("command \(index)", events: 2), time: LogTime.now())
            writer.waitUntilDurable(appended.last)
        }
    }

    /// A journal of sealed segments, none of them compressed, and an active one.
    private func plainJournal(_ path: String, segments: Int) throws -> JournalDirectory {
        let directory = JournalDirectory(path, on: LocalFileSystem())
        let store = LocalJournalStore(directory, segmentBytes: 1000)
        var last = try store.open(RecoveryHints()).last
        for segment in 0..<segments {
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

    /// The bytes of all lines, headers among them, as `zcat` and `cat` show them.
    private func lines(_ directory: JournalDirectory) throws -> [UInt8] {
        while true {
            // The archiver may compress a file between the look at the names and the reading: then once more.
            do { return try linesNow(directory) } catch let error as FileError where error.isNotFound { continue }
        }
    }

    private func linesNow(_ directory: JournalDirectory) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for name in try directory.segments() {
            if name.isCompressed {
                try GzipFile.read(directory.path(of: name), on: LocalFileSystem()) { bytes += $0 }
            } else {
                bytes += try readWholeFile(directory.path(of: name), on: LocalFileSystem())
            }
        }
        return bytes
    }

    private func positions(_ directory: JournalDirectory, from: UInt64 = 1) throws -> [UInt64] {
        var found: [UInt64] = []
        try LogReader(directory, from: LogPosition(from)).forEach { line throws(JournalError) in
            found.append(line.position.rawValue)
            return true
        }
        return found
    }

    private func expectSound(_ directory: JournalDirectory, events: UInt64, _ note: String = "") throws {
        let verifier = Verifier(directory)
        let report = try verifier.run()
        #expect(report.damage.isEmpty, "\(note): \(report.damage)")
        #expect(report.events == events, "\(note)")
        #expect(try positions(directory) == Array(1...events), "\(note)")
        for from in stride(from: UInt64(1), through: events, by: 7) {
            #expect(try positions(directory, from: from) == Array(from...events), "\(note): from \(from)")
        }
    }

    @Test("every line is kept byte for byte, in fewer and smaller files")
    func keepsLines() throws {
        let writer = try writer(directory)
        append(150, to: writer)
        let before = try lines(directory)
        let report = try writer.compact()
        let after = try lines(directory)
        #expect(after.starts(with: before))
        #expect(report.filesBefore > 10 && report.filesAfter == 2, "\(report)")
        #expect(report.bytesAfter < report.bytesBefore * 3 / 4, "\(report)")
        append(5, to: writer)
        writer.close()
        try expectSound(directory, events: 310)
        // Another start finds it in order, and a compaction of what is compact changes no sealed byte.
        let again = try self.writer(directory)
        let sealed = try #require(try directory.segments().first)
        let bytes = try readWholeFile(directory.path(of: sealed), on: LocalFileSystem())
        _ = try again.compact()
        again.close()
        let merged = try readWholeFile(directory.path(of: sealed), on: LocalFileSystem())
        #expect(merged.starts(with: bytes) && merged.count > bytes.count, "members at their best are taken as they are")
        try expectSound(directory, events: 310)
    }

    @Test("merged files stay within their bound, and are named after the first")
    func bound() throws {
        let writer = try writer(directory)
        append(150, to: writer)
        _ = try writer.compact(mergedBytes: 2500)
        writer.close()
        let names = try directory.segments()
        #expect(names.count > 3 && names.count < 12, "\(names.map(\.text))")
        try expectSound(directory, events: 300)
    }

    @Test("another maker's plain gzip files are merged like ours")
    func foreign() throws {
        let journal = try plainJournal(directory.path, segments: 5)
        for name in try journal.segments().dropLast() {
            let bytes = try readWholeFile(journal.path(of: name), on: LocalFileSystem())
            // A member as gzip writes it: no extra field.
            let ours = gzipMember(bytes)
            let plain: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3] + ours[GzipMember.headerBytes...]
            let target = journal.path(of: SegmentName(first: name.first, isCompressed: true))
            try writeAll(plain, to: try LocalFileSystem().open(target, .createNew), at: 0)
            try LocalFileSystem().remove(journal.path(of: name))
        }
        let before = try lines(journal)
        let writer = try writer(journal)
        _ = try writer.compact()
        writer.close()
        #expect(try lines(journal).starts(with: before))
        #expect(try journal.segments().count == 2)
        try expectSound(journal, events: 20)
    }

    @Test("whatever step it stops at, readers see every event once, at once and after the next start")
    func stopAnywhere() throws {
        let template = try plainJournal(scratch.path + "/template", segments: 5)
        func run(_ path: String, _ fileSystem: FailingFileSystem) throws {
            try FileManager.default.copyItem(atPath: template.path, toPath: path)
            let store = LocalJournalStore(JournalDirectory(path, on: fileSystem), segmentBytes: 1000)
            defer { store.close() }
            _ = try store.open(RecoveryHints())
            try store.compact(mergedBytes: LocalJournalStore.mergedBytes)
        }
        let counting = FailingFileSystem(failingCall: 0)
        try run(scratch.path + "/whole", counting)
        #expect(counting.changingCalls > 30)
        let wanted = try lines(template)
        for failing in 1...counting.changingCalls {
            for extent in [FailingFileSystem.Extent.once, .fromThenOn] {
                let path = scratch.path + "/run"
                // An error on the way out of another one changes nothing.
                do { try run(path, FailingFileSystem(failingCall: failing, extent)) } catch {
                    #expect(error is JournalError)
                }
                let left = JournalDirectory(path, on: LocalFileSystem())
                try expectSound(left, events: 20, "call \(failing), before the start")
                try writer(left, segmentBytes: 1 << 20).close()
                try expectSound(left, events: 20, "call \(failing), after the start")
                #expect(try lines(left) == wanted, "call \(failing)")
                #expect(try LocalFileSystem().list(path).allSatisfy { !$0.hasSuffix(".tmp") })
                try FileManager.default.removeItem(atPath: path)
            }
        }
    }

    @Test("a damaged segment is named, and nothing is replaced")
    func damaged() throws {
        let writer = try writer(directory)
        append(100, to: writer)
        let appended = writer.append(sampleCommand("last"), time: LogTime.now())
        writer.waitUntilDurable(appended.last)
        writer.close()
        let again = try self.writer(directory)
        let victim = try #require(try directory.segments().dropFirst(3).first { $0.isCompressed })
        var bytes = try readWholeFile(directory.path(of: victim), on: LocalFileSystem())
        bytes[bytes.count - 20] ^= 8
        try writeAll(bytes, to: try LocalFileSystem().open(directory.path(of: victim), .update), at: 0)
        let names = try directory.segments().filter(\.isCompressed)
        let failure = #expect(throws: JournalError.self) { _ = try again.compact() }
        #expect(
            failure?.description.contains(victim.text) == true, "\(failure?.description ?? "none"), not \(victim.text)")
        again.close()
        #expect(Set(try directory.segments()).isSuperset(of: names))
        #expect(try readWholeFile(directory.path(of: victim), on: LocalFileSystem()) == bytes)
    }

    @Test("a reader that is inside a file while all are merged goes on where it was")
    func readerInside() throws {
        let writer = try writer(directory)
        append(100, to: writer)
        for (from, stop) in [(1, 2), (1, 60), (30, 31), (1, 199)] as [(UInt64, UInt64)] {
            var found: [UInt64] = []
            try LogReader(directory, from: LogPosition(from)).forEach { line throws(JournalError) in
                found.append(line.position.rawValue)
                if line.position.rawValue == stop { _ = try writer.compact() }
                return true
            }
            #expect(found == Array(from...(found.last ?? 0)), "from \(from), compacted at \(stop)")
            #expect(found.last ?? 0 >= 200)
            append(40, to: writer)
        }
        writer.close()
    }

    @Test(
        "readers that begin again and again while segments are sealed, compressed and merged see no gap and no repeat")
    func readersMeanwhile() throws {
        let writer = try writer(directory, segmentBytes: 1500)
        append(1, to: writer)
        let readers = Readers(directory, writer)
        let threads = (0..<2).map { index in
            let thread = Thread { readers.run(UInt64(index)) }
            thread.start()
            return thread
        }
        for round in 0..<40 {
            append(20, to: writer)
            _ = try writer.compact(mergedBytes: round % 3 == 0 ? 900 : 20_000)
        }
        readers.stop()
        try #require(try eventuallyBlocking { threads.allSatisfy(\.isFinished) })
        writer.close()
        try expectSound(directory, events: 1602)
    }
}

/// Reads a journal from many positions, again and again, and compares what it shows with what was durable before.
private final class Readers: Sendable {
    private let directory: JournalDirectory
    private let writer: LogWriter
    private let isDone = Atomic(false)

    init(_ directory: JournalDirectory, _ writer: LogWriter) {
        self.directory = directory
        self.writer = writer
    }

    func stop() { isDone.store(true, ordering: .releasing) }

    func run(_ first: UInt64) {
        var round = first
        while !isDone.load(ordering: .acquiring) {
            let durable = writer.durable.rawValue
            read(from: round * 37 % durable + 1, durable, prefetching: round % 2 == 0)
            round += 1
        }
    }

    private func read(from: UInt64, _ durable: UInt64, prefetching: Bool) {
        var next = from
        var isInOrder = true
        do {
            try LogReader(directory, from: LogPosition(from), prefetching: prefetching).forEach {
                line throws(JournalError) in
                isInOrder = isInOrder && line.position.rawValue == next
                next = line.position.rawValue + 1
                return true
            }
        } catch { Issue.record("from \(from): \(error)") }
        #expect(isInOrder, "from \(from)")
        #expect(next > durable, "from \(from): \(durable) was durable, \(next) was due")
    }
}
