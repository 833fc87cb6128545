import EventLog
import Projections

extension DataOptions {
    /// The directory, for a verb that only reads: what a start would refuse, or do first, is warned of on standard error,
    /// as what the verb shows comes from the journal alone.
    func forReading() throws -> DataDirectory {
        let data = try withJournal()
        if let warning = try ReadingCheck.warning(data) { Terminal.complain("manager: warning: \(warning)") }
        return data
    }
}

/// What a directory's other files say of its journal.
enum ReadingCheck {
    /// A sentence where the journal is not the whole truth; nil where it is.
    static func warning(_ data: DataDirectory) throws -> String? {
        guard try data.journal.segments().isEmpty else {
            return try missingEvents(data).map { "\($0). What is shown here is what the journal has" }
        }
        guard try data.fileSystem.metadata(data.stateFile) != nil else {
            return "there is no journal in \(data.path) yet, so there is nothing to show"
        }
        return "\(data.stateFile) was written by a Python manager and is not imported yet, so no task of it is shown: "
            + "'manager serve' imports it, or 'manager import \(data.stateFile)'"
    }

    /// The refusal of a start where a good state file, backup or baseline stands beyond the journal's end.
    ///
    /// The files are looked at before the journal, which only grows: with a running manager there is no false alarm.
    static func missingEvents(_ data: DataDirectory) throws -> JournalError? {
        let copies = StateCopies(data: data, warn: { _ in })
        let state = try statedPosition(data)
        guard let newest = [state, try copies.newestNamed()].compactMap(\.self).max(), newest > .zero else {
            return nil
        }
        do throws(JournalError) {
            if try reaches(newest, data.journal) { return nil }
            let last = try end(of: data.journal)
            guard newest > last else { return nil }
            if let state, state > last, try isGoodStateFile(data) {
                return .snapshotBeyondEnd(snapshot: state, path: data.stateFile, last: last)
            }
            return copies.beyond(last).map { .snapshotBeyondEnd(snapshot: $0.position, path: $0.path, last: last) }
        } catch {
            // Damage is for the verb itself to meet and to name.
            if case .damage = error { return nil }
            throw error
        }
    }

    private static func statedPosition(_ data: DataDirectory) throws -> LogPosition? {
        guard try data.fileSystem.metadata(data.stateFile) != nil else { return nil }
        let file = try data.fileSystem.open(data.stateFile, .read)
        defer { file.close() }
        let size = try file.sizeBytes()
        return StateDecoder.statedPosition(try readBytes(of: file, at: max(0, size - 400), count: 400))
    }

    private static func isGoodStateFile(_ data: DataDirectory) throws(JournalError) -> Bool {
        do throws(FileError) {
            return StateDecoder.checksumProblem(try readWholeFile(data.stateFile, on: data.fileSystem)) == nil
        } catch { throw .file(error) }
    }

    /// Whether the journal has an event at a position or behind it, or a gap there that is known.
    static func reaches(_ position: LogPosition, _ journal: JournalDirectory) throws(JournalError) -> Bool {
        var found = false
        let reader = LogReader(journal, from: position)
        try reader.forEach { line throws(JournalError) in
            found = line.position >= position
            return false
        }
        return found || reader.last >= position
    }

    /// The journal's last event; zero without any.
    static func end(of journal: JournalDirectory) throws(JournalError) -> LogPosition {
        let reader = LogReader(journal, from: try journal.segments().last?.first ?? LogPosition(1))
        try reader.forEach { _ throws(JournalError) in true }
        return reader.last
    }
}
