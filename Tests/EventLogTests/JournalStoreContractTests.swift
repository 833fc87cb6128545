import EventLog
import TestSupport
import Testing

@Suite("What every journal store does")
struct JournalStoreContractTests {
    /// The disks that the local store is tried on.
    enum Disk: CaseIterable { case real, simulated }

    /// Stores of one journal, one after the other.
    private struct Stores {
        let open: () -> any JournalStore
        private let scratch: TemporaryDirectory?

        init(_ disk: Disk) throws {
            switch disk {
            case .real:
                let scratch = try TemporaryDirectory()
                let path = scratch.path
                self.scratch = scratch
                open = {
                    LocalJournalStore(JournalDirectory(path + "/journal", on: LocalFileSystem()), segmentBytes: 1 << 20)
                }
            case .simulated:
                scratch = nil
                let disk = SimulatedDisk()
                open = {
                    LocalJournalStore(JournalDirectory("/journal", on: disk.process()), segmentBytes: 1 << 20)
                }
            }
        }
    }

    private func positions(_ store: any JournalStore, from: UInt64 = 1) throws -> [UInt64] {
        var found: [UInt64] = []
        try store.entries(from: LogPosition(from)).forEach { line throws(JournalError) in
            found.append(line.position.rawValue)
            return true
        }
        return found
    }

    private func append(_ count: Int, to store: any JournalStore, _ opened: OpenedJournal, seals: Int = 0) {
        let writer = LogWriter(
            store, opened: opened, segmentBytes: 1 << 20, onDurable: { _ in },
            onFailure: { Issue.record("the store failed: \($0)") })
        for number in 0..<count {
            let appended = writer.append(sampleCommand("line \(number)"), time: LogTime.now())
            writer.waitUntilDurable(appended.last)
            if number < seals { writer.sealActive() }
        }
        writer.close()
    }

    @Test("what was appended is read from any position, after any number of starts", arguments: Disk.allCases)
    func appends(disk: Disk) throws {
        let stores = try Stores(disk)
        for round in 0..<3 {
            let store = stores.open()
            let opened = try store.open(RecoveryHints())
            #expect(opened.last.rawValue == UInt64(round * 5))
            #expect(opened.cut == nil)
            append(5, to: store, opened)
            #expect(try positions(store) == Array(1...UInt64(round * 5 + 5)))
            #expect(try positions(store, from: 4).first == 4)
        }
    }

    @Test("sealed, compressed and merged, it reads the same, and the chain goes on", arguments: Disk.allCases)
    func seals(disk: Disk) throws {
        let stores = try Stores(disk)
        let store = stores.open()
        append(8, to: store, try store.open(RecoveryHints()), seals: 5)
        let again = stores.open()
        let opened = try again.open(RecoveryHints())
        #expect(opened.last == LogPosition(8))
        while try again.archive() {}
        let report = try again.compact(mergedBytes: 1 << 20) {}
        #expect(report.filesAfter == 2, "one file for all that is sealed, and the active one")
        #expect(try positions(again) == Array(1...8))
        append(2, to: again, opened)
        #expect(try positions(again) == Array(1...10))
    }

    @Test("there is room for what it promises, and it says so before it is used", arguments: Disk.allCases)
    func room(disk: Disk) throws {
        let store = try Stores(disk).open()
        _ = try store.open(RecoveryHints())
        #expect(try store.room(wanted: LogWriter.leastRoomBytes) >= LogWriter.leastRoomBytes)
        store.close()
    }
}
