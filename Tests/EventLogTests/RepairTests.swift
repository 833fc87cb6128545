import EventLog
import Testing
import TestSupport

@Suite("Repair of a journal", .serialized)
struct RepairTests {
    private let scratch: TemporaryDirectory
    private var directory: JournalDirectory { JournalDirectory(scratch.path + "/journal", on: LocalFileSystem()) }

    init() throws { scratch = try TemporaryDirectory() }

    private init(_ scratch: TemporaryDirectory) { self.scratch = scratch }

    private func write(_ commands: Int, segmentBytes: Int64) throws {
        try directory.writeSample(commands, segmentBytes: segmentBytes)
    }

    private func bytes(_ name: SegmentName) throws -> [UInt8] { try directory.bytes(of: name) }

    private func put(_ bytes: [UInt8], _ name: SegmentName) throws { try directory.put(bytes, as: name) }

    private func changeLines(_ name: SegmentName, _ change: (inout [[UInt8]]) -> Void) throws {
        var lines = try bytes(name).split(separator: 10).map { Array($0) }
        change(&lines)
        try put(Array(lines.joined(separator: [10])) + [10], name)
    }

    private func events() throws -> [UInt64: [UInt8]] {
        var found: [UInt64: [UInt8]] = [:]
        try LogReader(directory).forEach { line throws(JournalError) in
            found[line.position.rawValue] = Array(line.bytes)
            return true
        }
        return found
    }

    /// Repairs, and checks what must hold after any repair. Returns the plan.
    @discardableResult
    private func repair(_ before: [UInt64: [UInt8]], _ seed: UInt64 = 0) throws -> RepairPlan {
        let repair = JournalRepair(directory) { _ in nil }
        let plan = try repair.plan()
        try repair.apply(plan)
        let report = try Verifier(directory).run()
        // Segments that no longer fit their successors are told, for the notes that a start writes.
        let loose = report.damage.filter { $0.kind == .brokenChain }
        #expect(loose.count == report.damage.count, "seed \(seed): \(report.damage)")
        #expect(loose.count <= plan.unnotedSegments.count, "seed \(seed): \(report.damage)")
        let after = try events()
        for (position, line) in after { #expect(before[position] == line, "seed \(seed): seq \(position)") }
        let gone = Set(plan.gaps.flatMap { ($0.line.first.rawValue...$0.line.last.rawValue).map { $0 } })
        for position in before.keys where position <= plan.last.rawValue {
            #expect(
                after[position] != nil || gone.contains(position), "seed \(seed): seq \(position) went without a gap")
        }
        for gap in plan.gaps {
            let kept = try readWholeFile(directory.path + "/" + gap.line.file, on: LocalFileSystem())
            #expect(kept.count == gap.bytes)
        }
        let again = try repair.plan()
        #expect(
            again.changesNothing, "seed \(seed): \(plan.changes), then \(again.changes) \(again.gaps) \(again.strays)")
        return plan
    }

    @Test("a flipped bit in the active segment becomes a gap of one event, and the journal opens and goes on")
    func flippedActive() throws {
        try write(20, segmentBytes: 1 << 20)
        let before = try events()
        let name = try #require(try directory.segments().last)
        try changeLines(name) { $0[5][30] ^= 1 }
        let plan = try repair(before)
        #expect(plan.gaps.map(\.line.first) == [LogPosition(5)])
        #expect(plan.gaps.map(\.line.last) == [LogPosition(5)])
        try write(3, segmentBytes: 1 << 20)
        #expect(try Verifier(directory).run().damage.isEmpty)
        #expect(try events().count == before.count - 1 + 6)
    }

    @Test("lines that changed places are put in order again, and the chain proves it")
    func reordered() throws {
        try write(30, segmentBytes: 1200)
        let before = try events()
        let name = try #require(try directory.segments().last { !$0.isCompressed })
        try changeLines(name) { $0.swapAt(1, $0.count - 1) }
        let plan = try repair(before)
        #expect(plan.gaps.isEmpty)
        #expect(try events() == before)
    }

    @Test("a damaged header is written anew, byte for byte")
    func header() throws {
        try write(60, segmentBytes: 1200)
        let before = try events()
        let name = try #require(try directory.segments().last)
        let whole = try bytes(name)
        try changeLines(name) { $0[0][14] ^= 2 }
        #expect(try Verifier(directory).run().damage.contains { $0.kind == .header })
        #expect(try repair(before).gaps.isEmpty)
        #expect(try bytes(name) == whole)
    }

    @Test("a missing file, in the middle or at the beginning, becomes a file with a gap line")
    func missingFile() throws {
        try write(80, segmentBytes: 1200)
        let before = try events()
        let names = try directory.segments()
        try #require(names.count > 4)
        try LocalFileSystem().remove(directory.path(of: names[0]))
        try LocalFileSystem().remove(directory.path(of: names[2]))
        let plan = try repair(before)
        #expect(plan.gaps.map(\.line.first) == [LogPosition(1), names[2].first])
        #expect(plan.gaps.map(\.line.last) == [names[1].first.previous, names[3].first.previous])
        try write(3, segmentBytes: 1200)
        #expect(try Verifier(directory).run().damage.isEmpty)
    }

    @Test(
        "a piece of a header glued to a line is no header: the line is a gap, the segments keep their numbers"
    )
    func gluedHeader() throws {
        try write(60, segmentBytes: 1200)
        let before = try events()
        let names = try directory.segments()
        let name = try #require(names.dropLast().first { !$0.isCompressed } ?? names.last)
        try changeLines(name) { $0[3] += Array($0[0].prefix(90)) }
        let plan = try repair(before)
        #expect(plan.gaps.count == 1)
        #expect(plan.changes.map(\.file) == [name.text])
    }

    /// Every sealed segment as gzip.
    private func compressAll() throws {
        let store = LocalJournalStore(directory, segmentBytes: 1200)
        _ = try store.open(RecoveryHints())
        while try store.archive() {}
        store.close()
    }

    @Test(
        "a file of which nothing is left becomes one with a gap line, under its own number", arguments: [false, true])
    func emptyFile(compressed: Bool) throws {
        for index in 0..<4 {
            let folder = try TemporaryDirectory()
            let other = RepairTests(folder)
            try other.write(60, segmentBytes: 1200)
            if compressed { try other.compressAll() }
            let before = try other.events()
            let names = try other.directory.segments()
            try #require(names.count > 5)
            try other.put([], names[index])
            let plan = try other.repair(before)
            #expect(plan.gaps.map(\.line.first) == [names[index].first])
            #expect(plan.gaps.map(\.line.last) == [names[index + 1].first.previous])
            try other.write(3, segmentBytes: 1200)
            #expect(try Verifier(other.directory).run().damage.isEmpty)
        }
    }

    @Test("a header with another number than the one before leads to is written anew; until then no start takes it")
    func wrongNumber() throws {
        try write(60, segmentBytes: 1200)
        let before = try events()
        let name = try #require(try directory.segments().last)
        let whole = try bytes(name)
        let header = try #require(
            whole.withUnsafeBufferPointer { buffer in
                SegmentHeader(UnsafeBufferPointer(rebasing: buffer.prefix { $0 != 10 }))
            })
        let wrong = SegmentHeader(
            segment: header.segment + 1, first: header.first, previousSHA256: header.previousSHA256)
        try put(wrong.encoded() + Array(whole.drop { $0 != 10 }.dropFirst()), name)
        #expect(try Verifier(directory).run().damage.map(\.kind) == [.brokenChain])
        #expect(throws: JournalError.self) {
            try LocalJournalStore(directory, segmentBytes: 1200).open(RecoveryHints())
        }
        #expect(try repair(before).gaps.isEmpty)
        #expect(try bytes(name) == whole)
    }

    @Test("a newest file without a line of the journal is moved aside whole, and its name invents no lost events")
    func foreignFile() throws {
        for content in [[], Array("x".utf8), Array("x\ny\n".utf8)] {
            let folder = try TemporaryDirectory()
            let other = RepairTests(folder)
            try other.write(20, segmentBytes: 1 << 20)
            let before = try other.events()
            let name = SegmentName(first: LogPosition(500))
            try other.put(content, name)
            #expect(try !Verifier(other.directory).run().damage.isEmpty)
            #expect(throws: JournalError.self) {
                try LocalJournalStore(other.directory, segmentBytes: 1200).open(RecoveryHints())
            }
            let plan = try other.repair(before)
            #expect(plan.gaps.isEmpty && plan.strays.map(\.bytes) == (content.isEmpty ? [] : [content.count]))
            #expect(try other.events() == before)
            #expect(try !other.directory.segments().contains(name))
        }
    }

    @Test("an end that a start may cut is left to it")
    func unfinishedWrite() throws {
        try write(20, segmentBytes: 1 << 20)
        let name = try #require(try directory.segments().last)
        let before = try bytes(name)
        try put(Array(before.dropLast(9)), name)
        let plan = try JournalRepair(directory) { _ in nil }.plan()
        #expect(plan.changesNothing)
        #expect(plan.tailBytes > 0)
    }

    @Test("what a good state knows of beyond the journal's end becomes a gap")
    func beyondTheEnd() throws {
        try write(20, segmentBytes: 1 << 20)
        let last = try #require(try events().keys.max())
        let repair = JournalRepair(directory) { $0 < LogPosition(last + 5) ? LogPosition(last + 5) : nil }
        let plan = try repair.plan()
        #expect(plan.gaps.map(\.line.first) == [LogPosition(last + 1)])
        try repair.apply(plan)
        let store = LocalJournalStore(directory, segmentBytes: 1 << 20)
        #expect(try store.open(RecoveryHints()).last == LogPosition(last + 5))
        store.close()
    }

    @Test("after any damage the journal is readable, and nothing good is lost without a gap")
    func anyDamage() throws {
        for seed in UInt64(1)...60 {
            var random = SplitMix(seed)
            let folder = directory.path
            for name in try LocalFileSystem().metadata(folder) == nil ? [] : try LocalFileSystem().list(folder)
            where name.hasSuffix(".jsonl") || name.hasSuffix(".gz") {
                try LocalFileSystem().remove(folder + "/" + name)
            }
            try write(40, segmentBytes: 1000)
            let before = try events()
            let names = try directory.segments()
            for _ in 0..<random.below(3) + 1 {
                let name = names[random.below(names.count - 1)]
                guard try LocalFileSystem().metadata(directory.path(of: name)) != nil else { continue }
                var damaged = try bytes(name)
                guard damaged.count > 100 else { continue }
                switch random.below(5) {
                case 0: damaged[random.below(damaged.count)] ^= UInt8(1 << random.below(8))
                case 1: damaged.removeLast(random.below(damaged.count - 1))
                case 2:
                    let at = random.below(damaged.count - 60)
                    for index in at..<(at + 50) { damaged[index] = 0 }
                case 3: damaged.insert(contentsOf: damaged.prefix(90), at: random.below(damaged.count))
                default:
                    try LocalFileSystem().remove(directory.path(of: name))
                    continue
                }
                try put(damaged, name)
            }
            try repair(before, seed)
        }
    }
}

@Suite("Anchors", .serialized)
struct AnchorTests {
    @Test("a head hash proves every earlier event, and a rewritten journal does not pass")
    func anchor() throws {
        let scratch = try TemporaryDirectory()
        let directory = JournalDirectory(scratch.path + "/journal", on: LocalFileSystem())
        func write(_ text: String) throws {
            let store = LocalJournalStore(directory, segmentBytes: 1000)
            let writer = LogWriter(
                store, opened: try store.open(RecoveryHints()), segmentBytes: 1000, onDurable: { _ in },
                onFailure: { Issue.record("\($0)") })
            for index in 0..<20 {
                let appended = writer.append(sampleCommand("\(text)\(index)"), time: LogTime.now())
                writer.waitUntilDurable(appended.last)
            }
            writer.close()
        }
        try write("a")
        let first = try Verifier(directory).run()
        let anchor = Anchor(sha256: try #require(first.headSHA256), position: first.last)
        try write("b")
        #expect(try Verifier(directory).run(anchors: [anchor]).anchors == [anchor])
        let wrong = Anchor(sha256: String(repeating: "0", count: 64), position: LogPosition(7))
        let beyond = Anchor(sha256: anchor.sha256, position: LogPosition(999))
        #expect(try Verifier(directory).run(anchors: [wrong, beyond]).damage.map(\.kind) == [.anchor, .anchor])
        #expect(Anchor("\(anchor)") == anchor)
        #expect(Anchor("abc@1") == nil)
    }
}

/// Random numbers that a seed makes again.
private struct SplitMix {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func below(_ bound: Int) -> Int {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Int((z ^ (z >> 31)) % UInt64(max(bound, 1)))
    }
}
