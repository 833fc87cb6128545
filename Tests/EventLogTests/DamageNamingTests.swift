import EventLog
import TestSupport
import Testing

@Suite("What damage is called, and whether a start and verify agree on it", .serialized)
struct DamageNamingTests {
    private let scratch: TemporaryDirectory
    private var directory: JournalDirectory { JournalDirectory(scratch.path + "/journal", on: LocalFileSystem()) }

    init() throws {
        scratch = try TemporaryDirectory()
        try write(60)
        let store = LocalJournalStore(directory, segmentBytes: 1200)
        _ = try store.open(RecoveryHints())
        while try store.archive() {}
        store.close()
    }

    private func write(_ commands: Int, segmentBytes: Int64 = 1200) throws {
        try directory.writeSample(commands, segmentBytes: segmentBytes)
    }

    private func bytes(_ name: SegmentName) throws -> [UInt8] { try directory.bytes(of: name) }

    private func put(_ bytes: [UInt8], _ name: SegmentName) throws { try directory.put(bytes, as: name) }

    private func lines(_ name: SegmentName) throws -> [[UInt8]] {
        var all: [UInt8] = []
        if name.isCompressed {
            try GzipFile.read(directory.path(of: name), on: LocalFileSystem()) { all += $0 }
        } else {
            all = try bytes(name)
        }
        return all.split(separator: 10).map { Array($0) }
    }

    private func putLines(_ lines: [[UInt8]], _ name: SegmentName) throws {
        let all = Array(lines.joined(separator: [10])) + [10]
        try put(name.isCompressed ? plainGzip(all) : all, name)
    }

    private func damage() throws -> [JournalDamage] { try Verifier(directory).run().damage }

    /// The damage by which a start refuses: what opening the journal or reading all of it throws.
    private func refusal() throws -> JournalDamage? {
        let store = LocalJournalStore(directory, segmentBytes: 1200)
        do {
            _ = try store.open(RecoveryHints())
            store.close()
            try LogReader(directory).forEach { _ throws(JournalError) in true }
            return nil
        } catch JournalError.damage(let damage) { return damage }
    }

    @Test("an event that is gone from the middle of a segment is missing, not reordered")
    func missingLine() throws {
        let name = try #require(try directory.segments().dropFirst().first)
        var all = try lines(name)
        all.remove(at: 3)
        try putLines(all, name)
        let found = try damage()
        #expect(found.map(\.kind) == [.missingSegment])
        #expect(found.first?.file == name.text && found.first?.line == 4)
        #expect(try refusal()?.kind == .missingSegment)
    }

    @Test("two lines that changed places are one damage, called reordered; a line that stands twice is a duplicate")
    func reorderedLines() throws {
        let name = try #require(try directory.segments().dropFirst().first)
        let all = try lines(name)
        var changed = all
        changed.swapAt(3, 4)
        try putLines(changed, name)
        #expect(try damage().map(\.kind) == [.reordered])
        changed = all
        changed.insert(all[3], at: 4)
        try putLines(changed, name)
        #expect(try damage().map(\.kind) == [.duplicate])
    }

    @Test("a segment without its header is named in its own file, by verify and by a start", arguments: [false, true])
    func headerless(isNewest: Bool) throws {
        let names = try directory.segments()
        let name = isNewest ? try #require(names.last) : names[1]
        try putLines(Array(try lines(name).dropFirst()), name)
        let found = try damage()
        #expect(found.map(\.kind) == [.header])
        #expect(found.first?.file == name.text && found.first?.line == 1 && found.first?.byte == 0)
        #expect(try refusal() == found.first)
    }

    @Test("a whole replay refuses a sealed segment without its header")
    func headerlessReplay() throws {
        let name = try directory.segments()[1]
        try putLines(Array(try lines(name).dropFirst()), name)
        #expect(throws: JournalError.self) { try LogReader(directory).forEach { _ throws(JournalError) in true } }
    }

    @Test("a flipped bit in compressed lines is told by line and byte of the lines, once, as a replay tells it")
    func flippedMember() throws {
        let name = try directory.segments()[1]
        let whole = try bytes(name)
        for at in stride(from: 60, to: whole.count - 8, by: 37) {
            var flipped = whole
            flipped[at] ^= 4
            try put(flipped, name)
            let found = try damage()
            let first = try #require(found.first)
            #expect(first.file == name.text && first.line != nil && first.byte != nil, "byte \(at): \(found)")
            var read: JournalDamage?
            do { try LogReader(directory).forEach { _ throws(JournalError) in true } } catch {
                guard case .damage(let damage) = error else { throw error }
                read = damage
            }
            if let read, read.file == name.text {
                #expect(read.line == first.line && read.position == first.position, "byte \(at): \(read) \(first)")
            }
        }
        try put(whole, name)
    }

    @Test("whatever a start refuses verify names, and the newest file is judged alike by both")
    func agreement() throws {
        let kept = try DirectoryCopy(directory)
        for seed in UInt64(1)...150 {
            var random = SeededGenerator(seed)
            try kept.restore()
            let names = try directory.segments()
            let newest = names[names.count - 1]
            let name = random.below(2) == 0 ? newest : names[random.below(names.count)]
            var changed = try bytes(name)
            switch random.below(8) {
            case 0: changed[random.below(changed.count)] ^= UInt8(1 << random.below(8))
            case 1: changed.removeLast(random.below(changed.count) + 1)
            case 2:
                let at = random.below(max(1, changed.count - 60))
                for index in at..<min(at + 50, changed.count) { changed[index] = 0 }
            case 3: changed.insert(contentsOf: changed.prefix(90), at: random.below(changed.count))
            case 4: changed = []
            case 5: changed += Array("junk".utf8)
            case 6:
                try put(
                    random.below(2) == 0 ? [] : [120], SegmentName(first: LogPosition(UInt64(random.below(400)) + 1)))
            default:
                var all = try lines(name)
                all.swapAt(random.below(all.count), random.below(all.count))
                try putLines(all, name)
                changed = try bytes(name)
            }
            try put(changed, name)
            let found = try damage()
            if let refused = try refusal() {
                #expect(!found.isEmpty, "seed \(seed): a start says \(refused), verify nothing")
            } else {
                // What stands sealed behind what is read needs no start's look; all of it was read here.
                let unread = found.filter { $0.kind != .brokenChain && $0.kind != .bitRot && $0.kind != .torn }
                #expect(unread.isEmpty, "seed \(seed): verify says \(found), a start nothing")
                #expect(!found.contains { $0.file == newest.text }, "seed \(seed): \(found)")
            }
        }
    }

    @Test("who follows the journal is told of a broken line, after what is good before it")
    func follower() throws {
        try write(6, segmentBytes: 1 << 20)
        let name = try #require(try directory.segments().last)
        var all = try lines(name)
        try #require(all.count > 4)
        all[2][20] ^= 1
        try putLines(all, name)
        let end = LogPosition(name.first.rawValue + UInt64(all.count) - 2)
        func shown(from: LogPosition) -> (positions: [LogPosition], failed: Bool) {
            var positions: [LogPosition] = []
            do {
                try LineFollower(directory, from: from).forEach(upTo: end) { line throws(JournalError) in
                    positions.append(line.position)
                    return true
                }
                return (positions, false)
            } catch { return (positions, true) }
        }
        let early = shown(from: name.first)
        #expect(early.positions == [name.first] && early.failed)
        let behind = shown(from: name.first.next.next)
        #expect(behind.positions.first == name.first.next.next && behind.positions.last == end && !behind.failed)
    }
}

/// The files of a journal, to come back to.
private struct DirectoryCopy {
    let directory: JournalDirectory
    let files: [String: [UInt8]]

    init(_ directory: JournalDirectory) throws {
        self.directory = directory
        var files: [String: [UInt8]] = [:]
        for name in try directory.segments() {
            files[name.text] = try readWholeFile(directory.path(of: name), on: LocalFileSystem())
        }
        self.files = files
    }

    func restore() throws {
        let disk = LocalFileSystem()
        for name in try disk.list(directory.path) where name.contains(".jsonl") {
            try disk.remove(directory.path + "/" + name)
        }
        for (name, bytes) in files {
            try writeAll(bytes, to: try disk.open(directory.path + "/" + name, .replace), at: 0)
        }
    }
}
