import EventLog
import TestSupport
import Testing

/// Journals of sample commands, and their files as tests change them.
extension JournalDirectory {
    /// The journal, recovered and ready for appending.
    func openWriter(segmentBytes: Int64) throws -> (writer: LogWriter, opened: OpenedJournal) {
        let store = LocalJournalStore(self, segmentBytes: segmentBytes)
        let opened = try store.open(RecoveryHints())
        let writer = LogWriter(
            store, opened: opened, segmentBytes: segmentBytes, onDurable: { _ in },
            onFailure: { Issue.record("the journal failed: \($0)") })
        return (writer, opened)
    }

    /// Writes so many commands of one to three events, each durable before the next.
    func writeSample(_ commands: Int, segmentBytes: Int64) throws {
        let writer = try openWriter(segmentBytes: segmentBytes).writer
        for index in 0..<commands {
            let appended = writer.append(sampleCommand("c\(index)", events: index % 3 + 1), time: LogTime.now())
            writer.waitUntilDurable(appended.last)
        }
        writer.close()
    }

    /// The bytes of a file.
    func bytes(of name: SegmentName) throws -> [UInt8] { try readWholeFile(path(of: name), on: fileSystem) }

    /// Puts other bytes in a file's place.
    func put(_ bytes: [UInt8], as name: SegmentName) throws {
        try writeAll(bytes, to: try fileSystem.open(path(of: name), .replace), at: 0)
    }
}
