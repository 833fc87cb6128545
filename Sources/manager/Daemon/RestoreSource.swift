import EventLog
import Projections

/// What a restore goes back to: a moment of the journal, or a backup.
enum RestoreSource: Sendable {
    case moment(Moment)
    /// A backup's file: a path, or a name in `backups/`.
    case backup(String)

    /// The state that is wanted back.
    struct Wanted: Sendable {
        var state: ManagerState
        /// The backup's name; nil for a moment.
        var backup: String?
        /// True where the moment lies beyond the journal's end.
        var isBeyondEnd = false
    }

    /// Reads it. Throws a sentence where the backup is damaged, of another journal, or beyond the journal's end.
    func wanted(_ data: DataDirectory) throws -> Wanted {
        switch self {
        case .moment(let moment):
            let found = try MomentReader(data).state(at: moment)
            return Wanted(state: found.state, isBeyondEnd: found.isBeyondEnd)
        case .backup(let file): return try Self.backup(file, data)
        }
    }

    private static func backup(_ file: String, _ data: DataDirectory) throws -> Wanted {
        let path = try place(file, data)
        let bytes = try read(path, data)
        if let problem = StateDecoder.checksumProblem(bytes) {
            throw VerbFailure(
                "\(path) cannot be restored: \(problem). 'manager backups' tells which ones are good", status: 2)
        }
        guard let position = StateDecoder.statedPosition(bytes), position > .zero else {
            throw VerbFailure("\(path) is the state before the first event: name a later backup", status: 1)
        }
        let last = try MomentReader(data).state(at: .now).state
        guard position <= last.position else { throw beyond(path, position, last.position, data) }
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let state: ManagerState
        do throws(SnapshotProblem) { state = try StateDecoder.state(bytes, ofOlderFolds: true) } catch {
            guard case .otherFold = error else { throw VerbFailure("\(path) cannot be restored: \(error)", status: 2) }
            // Of another version of the fold: the journal gives the same state anew.
            return Wanted(state: try MomentReader(data).state(at: .position(position)).state, backup: name)
        }
        guard try isOwn(state, data, upTo: last) else { throw foreign(path, position, data) }
        return Wanted(state: state, backup: name)
    }

    private static func place(_ file: String, _ data: DataDirectory) throws -> String {
        let inBackups = BackupFile.directory(data) + "/" + file
        for path in [file, inBackups] where try data.fileSystem.metadata(path)?.isDirectory == false { return path }
        throw VerbFailure(
            "there is no file \(file), nor \(inBackups): 'manager backups' lists what there is", status: 1)
    }

    private static func read(_ path: String, _ data: DataDirectory) throws -> [UInt8] {
        guard path.hasSuffix(".gz") else { return try readWholeFile(path, on: data.fileSystem) }
        var bytes: [UInt8] = []
        do throws(JournalError) { try GzipFile.read(path, on: data.fileSystem) { bytes += $0 } } catch {
            guard case .damage(let damage) = error else { throw error }
            throw VerbFailure(
                "\(path) cannot be restored: \(damage.detail). 'manager backups' tells which ones are good", status: 2)
        }
        return bytes
    }

    /// Whether a state is one of this journal: the line of its last event has the checksum that it names. Where history
    /// was discarded, that line is gone; then each of its tasks must stand, with no later attempt.
    private static func isOwn(_ state: ManagerState, _ data: DataDirectory, upTo last: ManagerState) throws -> Bool {
        var crc: UInt32?
        var first: LogPosition?
        try LogReader(data.journal, from: state.position).forEach { line throws(JournalError) in
            first = line.position
            if line.position == state.position { crc = line.crc }
            return false
        }
        if let crc { return crc == state.crc }
        guard let first, first > state.position else { return false }
        return last.continues(state)
    }

    private static func beyond(
        _ path: String, _ position: LogPosition, _ last: LogPosition, _ data: DataDirectory
    ) -> VerbFailure {
        VerbFailure(
            "\(path) stands at seq \(position), but the journal in \(data.journalPath) ends at seq \(last): events that "
                + "were acknowledged are missing here, or the backup is of another directory. Put the journal back from "
                + "where it still has them ('manager verify' tells what is there); or take an earlier backup; or give the "
                + "backup a directory of its own: 'manager import \(path) --data-dir NEW'. Nothing was done", status: 2)
    }

    private static func foreign(_ path: String, _ position: LogPosition, _ data: DataDirectory) -> VerbFailure {
        VerbFailure(
            "\(path) is of another journal: its event at seq \(position) is not the one in \(data.journalPath). 'manager "
                + "import \(path) --data-dir NEW' gives it a directory of its own. Nothing was done", status: 1)
    }
}
