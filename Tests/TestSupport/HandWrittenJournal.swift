import EventLog
import Projections

/// Writes journals with times of the test's choosing, as a manager of another day would have left them.
public enum HandWrittenJournal {
    /// One command: when it happened, and its events.
    public struct Command: Sendable {
        let time: LogTime
        let events: [Event]

        /// Makes a command that happened so many seconds ago.
        public init(secondsAgo: Double, _ events: [Event]) {
            time = LogTime.now().advanced(bySeconds: -secondsAgo)
            self.events = events
        }
    }

    /// Writes the commands, oldest first, to the journal of a data directory.
    public static func write(
        _ commands: [Command], to dataDirectory: String, segmentBytes: Int64 = 64 << 20
    ) throws {
        let directory = JournalDirectory(dataDirectory + "/journal", on: LocalFileSystem())
        let store = LocalJournalStore(directory, segmentBytes: segmentBytes)
        let opened = try store.open(RecoveryHints())
        let writer = LogWriter(
            store, opened: opened, segmentBytes: segmentBytes, onDurable: { _ in },
            onFailure: { preconditionFailure("the journal cannot be written: \($0)") })
        for command in commands {
            var encoded = EncodedCommand()
            for event in command.events { encoded.append { event.encode(actor: nil, to: &$0) } }
            _ = writer.append(encoded, time: command.time)
        }
        writer.close()
    }
}
