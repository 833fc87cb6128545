import EventLog
import Foundation
import TestSupport
import Testing

@testable import manager

@Suite("Backups are thinned with their age")
struct BackupThinningTests {
    private let now = LogTime(microseconds: 1_800_000_000_000_000)

    /// One every ten minutes for so many days, oldest first.
    private func standing(days: Int) -> [BackupThinning.Standing] {
        (0..<(days * 144)).reversed().map { number in
            let time = now.advanced(bySeconds: -Double(number) * 600)
            return BackupThinning.Standing(name: "b\(number)", time: time, sizeBytes: 100)
        }
    }

    private func kept(_ thinning: BackupThinning, _ all: [BackupThinning.Standing]) -> [BackupThinning.Standing] {
        let gone = Set(thinning.gone(all, now: now))
        return all.filter { !gone.contains($0.name) }
    }

    @Test("all of the last hour, hourly for a day, daily for a month, weekly beyond")
    func ages() {
        let left = kept(BackupThinning(), standing(days: 100))
        func count(_ ages: Range<Double>) -> Int { left.count { ages.contains(now.seconds(since: $0.time)) } }
        #expect(count(0..<3600) == 6)
        #expect((23...24).contains(count(3600..<86_400)))
        #expect((29...30).contains(count(86_400..<(30 * 86_400))))
        #expect((10...11).contains(count((30 * 86_400)..<(100 * 86_400))))
    }

    @Test("thinned every ten minutes or once, what is left is as dense")
    func steps() {
        var left: [BackupThinning.Standing] = []
        for backup in standing(days: 40) {
            left.append(backup)
            let gone = Set(BackupThinning().gone(left, now: backup.time))
            left.removeAll { gone.contains($0.name) }
        }
        let once = kept(BackupThinning(), standing(days: 40))
        // At the edge of an hour or a day another one of the same hour or day may stand.
        #expect(abs(left.count - once.count) <= 2)
        for (left, right) in zip(left.dropLast(), left.dropFirst()) where now.seconds(since: left.time) < 86_400 {
            #expect(right.time.seconds(since: left.time) <= 2 * 3600)
        }
    }

    @Test("a number and a size bound what is left; the newest good one never goes")
    func bounds() {
        let all = standing(days: 2)
        #expect(kept(BackupThinning(most: 3), all).map(\.name) == ["b2", "b1", "b0"])
        #expect(kept(BackupThinning(mostBytes: 250), all).map(\.name) == ["b1", "b0"])
        #expect(kept(BackupThinning(mostBytes: 1), all).map(\.name) == ["b0"])
        var damaged = all
        for index in damaged.indices.suffix(2) { damaged[index].isGood = false }
        #expect(kept(BackupThinning(most: 1), damaged).map(\.name).contains("b2"))
        #expect(kept(BackupThinning(mostBytes: 1), damaged).map(\.name) == ["b2"])
    }

    @Test("each is read again now and then, and one that is damaged is noted and named")
    func verification() throws {
        let scratch = try TemporaryDirectory()
        try SampleData.make(scratch.path, tasks: 2)
        let data = DataDirectory(scratch.path)
        let backups = Backups(data, thinning: BackupThinning(most: 1))
        let name = try #require(try backups.write(try SampleData.state(scratch.path), paced: false))
        #expect(try backups.verifyOne() == nil)
        #expect(try BackupList(data).entries.first?.verified != nil)
        let path = BackupFile.directory(data) + "/" + name
        var bytes = try readWholeFile(path, on: LocalFileSystem())
        bytes[bytes.count / 2] ^= 1
        try writeAll(bytes, to: try LocalFileSystem().open(path, .update), at: 0)
        #expect(try backups.verifyOne() == nil, "not due yet")
        #expect(try backups.verifyOne(every: 0)?.contains(name) == true)
        #expect(try BackupChecks(data).all[name]?.isGood == false)
        // A damaged one of the same position does not stand for it.
        try LocalFileSystem().rename(
            path, to: BackupFile.directory(data) + "/" + "manager_state-00000000000000000002-20200101T000000Z.json.gz")
        #expect(try backups.write(try SampleData.state(scratch.path), paced: false) != nil)
    }
}
