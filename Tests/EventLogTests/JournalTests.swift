import EventLog
import Synchronization
import Testing
import TestSupport

@Suite("The journal in files", .serialized)
struct JournalTests {
    private let scratch: TemporaryDirectory
    private var directory: JournalDirectory { JournalDirectory(scratch.path + "/journal", on: LocalFileSystem()) }

    init() throws { scratch = try TemporaryDirectory() }

    private func open(segmentBytes: Int64 = 1 << 20) throws -> (LogWriter, OpenedJournal) {
        try directory.openWriter(segmentBytes: segmentBytes)
    }

    private func positions() throws -> [UInt64] {
        var found: [UInt64] = []
        try LogReader(directory).forEach { line throws(JournalError) in
            found.append(line.position.rawValue)
            return true
        }
        return found
    }

    private func write(_ commands: Int, events: Int = 1, segmentBytes: Int64 = 1 << 20) throws {
        let (writer, _) = try open(segmentBytes: segmentBytes)
        for index in 0..<commands {
            _ = writer.append(sampleCommand("command \(index)", events: events), time: LogTime.now())
            if index % 7 == 0 { writer.commit() }
        }
        writer.close()
    }

    @Test("what was appended is read back in order, over restarts")
    func appendAndRead() throws {
        try write(20)
        try write(5, events: 3)
        #expect(try positions() == Array(1...35))
    }

    @Test("segments are sealed by size, compressed, and their chain holds")
    func rotation() throws {
        try write(600, segmentBytes: 4000)
        #expect(try positions() == Array(1...600))
        let names = try directory.segments()
        #expect(names.count > 10)
        let verifier = Verifier(directory)
        let report = try verifier.run()
        #expect(report.damage.isEmpty)
        #expect(report.events == 600)
        #expect(report.segments > 10)
    }

    @Test("sealing while segments are compressed loses nothing")
    func rotationUnderLoad() throws {
        let (writer, _) = try open(segmentBytes: 600)
        for index in 0..<900 {
            _ = writer.append(sampleCommand("load \(index)"), time: LogTime.now())
            if index % 3 == 0 { writer.waitUntilDurable(writer.durable) }
            writer.commit()
        }
        writer.close()
        #expect(try positions() == Array(1...900))
    }

    @Test("cut at any byte of the last lines, the journal opens and keeps every whole command before the cut")
    func cutAnywhere() throws {
        try write(4, events: 2)
        let name = try #require(try directory.segments().last)
        let path = directory.path(of: name)
        let whole = try readWholeFile(path, on: LocalFileSystem())
        let ends = whole.indices.filter { whole[$0] == 10 }.map { $0 + 1 }
        for size in stride(from: whole.count, through: ends[0], by: -13) {
            let file = try LocalFileSystem().open(path, .replace)
            try writeAll(Array(whole[..<size]), to: file, at: 0)
            let lines = ends.count { $0 <= size } - 1
            let (writer, opened) = try open()
            #expect(opened.last.rawValue == UInt64(lines / 2 * 2), "cut at \(size)")
            writer.close()
            let kept = UInt64(lines / 2 * 2)
            #expect(try positions() == (kept == 0 ? [] : Array(1...kept)))
        }
    }

    @Test("a flipped byte in the middle of the active segment is refused, not cut")
    func flippedInTheMiddle() throws {
        let (writer, _) = try open()
        for index in 0..<10 {
            let appended = writer.append(sampleCommand("line \(index)"), time: LogTime.now())
            writer.waitUntilDurable(appended.last)
        }
        writer.close()
        let path = directory.path(of: try #require(try directory.segments().last))
        var bytes = try readWholeFile(path, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 4
        try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
        let verifier = Verifier(directory)
        #expect(try verifier.run().damage.first?.kind == .bitRot, "readers judge by the same rule")
        #expect(throws: JournalError.self) { _ = try open() }
        #expect(try readWholeFile(path, on: LocalFileSystem()) == bytes, "a refused journal is left as it is")
    }

    @Test("a flipped byte in a sealed segment is named by verify")
    func flippedInSealed() throws {
        try write(200, segmentBytes: 4000)
        let sealed = try #require(try directory.segments().first)
        let path = directory.path(of: sealed)
        var bytes = try readWholeFile(path, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 16
        try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
        let verifier = Verifier(directory)
        #expect(try verifier.run().damage.first?.file == sealed.text)
    }

    @Test("whatever byte of a sealed file is flipped, a start that notices names that file")
    func flippedAnywhereInSealed() throws {
        try write(200, segmentBytes: 4000)
        let sealed = try #require(try directory.segments().first)
        try #require(sealed.isCompressed)
        let path = directory.path(of: sealed)
        let whole = try readWholeFile(path, on: LocalFileSystem())
        var refused = 0
        for at in stride(from: 40, to: whole.count, by: 3) {
            var bytes = whole
            bytes[at] ^= 1 << (at % 8)
            try writeAll(bytes, to: try LocalFileSystem().open(path, .replace), at: 0)
            do throws(JournalError) {
                let store = LocalJournalStore(directory, segmentBytes: 4000)
                _ = try store.open(RecoveryHints())
                store.close()
            } catch {
                guard case .damage(let damage) = error else {
                    Issue.record("byte \(at): \(error)")
                    continue
                }
                #expect(damage.file == sealed.text, "byte \(at): \(damage)")
                refused += 1
            }
        }
        #expect(refused > 10)
    }

    @Test("verify goes on behind a damaged file and lists each one once")
    func damagedFiles() throws {
        try write(600, segmentBytes: 8000)
        let sealed = try directory.segments().dropLast()
        try #require(sealed.count >= 5)
        for name in [sealed[1], sealed[3]] {
            let path = directory.path(of: name)
            var bytes = try readWholeFile(path, on: LocalFileSystem())
            bytes[bytes.count / 2] ^= 16
            try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
        }
        let report = try Verifier(directory).run()
        #expect(report.damage.map(\.file) == [sealed[1].text, sealed[3].text])
        #expect(report.last == LogPosition(600))
        #expect(report.events > 300)
    }

    @Test("verify lists every changed line of a file, with its number")
    func damagedLines() throws {
        let (writer, _) = try open()
        for index in 0..<20 {
            let appended = writer.append(sampleCommand("line \(index)"), time: LogTime.now())
            writer.waitUntilDurable(appended.last)
        }
        writer.close()
        let path = directory.path(of: try #require(try directory.segments().last))
        var lines = try readWholeFile(path, on: LocalFileSystem()).split(separator: 10).map { Array($0) }
        for at in [3, 4, 9] { lines[at][lines[at].count / 2] ^= 1 }
        let changed = Array(lines.joined(separator: [10])) + [10]
        try writeAll(changed, to: try LocalFileSystem().open(path, .update), at: 0)
        let report = try Verifier(directory).run()
        #expect(report.damage.map(\.line) == [4, 5, 10])
        #expect(report.damage.allSatisfy { $0.kind == .bitRot })
        #expect(report.tail == nil)
        #expect(report.events == 17)
    }

    @Test("a command that crosses the reader's chunks is shown whole, or not at all while it is unfinished")
    func commandAcrossChunks() throws {
        let (writer, _) = try open(segmentBytes: 64 << 20)
        for index in 0..<3 {
            var command = EncodedCommand()
            for event in 0..<6000 {
                command.append {
                    $0 += Array(#""type":"test","note":true,"text":"\#(index) \#(event) padding padding""#.utf8)
                }
            }
            _ = writer.append(command, time: LogTime.now())
            writer.commit()
        }
        writer.close()
        #expect(try positions() == Array(1...18_000))
        let path = directory.path(of: try #require(try directory.segments().last))
        let size = try #require(try LocalFileSystem().metadata(path)).sizeBytes
        try LocalFileSystem().open(path, .update).truncate(toBytes: size - 1000)
        #expect(try positions() == Array(1...12_000))
        let tail = try #require(try Verifier(directory).run().tail)
        #expect(tail.byte + tail.bytes == size - 1000)
        #expect(tail.bytes > 512 << 10, "the whole unfinished command is the tail")
    }

    @Test("a second process cannot take the lock, and is told who holds it")
    func lock() throws {
        let first = try DirectoryLock(directory.path, on: LocalFileSystem())
        try first.describe(#"{"pid":42}"#)
        #expect(throws: JournalError.locked(path: directory.path, holder: #"{"pid":42}"#)) {
            _ = try DirectoryLock(directory.path, on: LocalFileSystem())
        }
        first.release()
        _ = try DirectoryLock(directory.path, on: LocalFileSystem())
    }

    @Test("a newer format is refused by the header, both numbers named")
    func newerFormat() throws {
        var header = SegmentHeader(segment: 1, first: LogPosition(1), previousSHA256: SegmentHeader.noPrevious)
        header.format = 2
        try LocalFileSystem().createDirectories(directory.path)
        let path = directory.path(of: SegmentName(first: LogPosition(1)))
        try writeAll(header.encoded(), to: try LocalFileSystem().open(path, .createNew), at: 0)
        #expect(throws: JournalError.newerFormat(found: 2, supported: 1, file: "00000000000000000001.jsonl")) {
            _ = try open()
        }
    }
}
