import EventLog
import Projections

/// States that stand beside the journal besides `manager_state.json`: backups and baselines.
struct StateCopies: Sendable {
    let data: DataDirectory
    let warn: @Sendable (String) -> Void

    /// A copy that can be used.
    struct Found {
        var state: ManagerState
        var path: String
    }

    struct Candidate {
        var position: LogPosition
        var path: String
        var isBaseline: Bool
    }

    /// A backup or baseline with a right checksum beyond a position; nil where there is none. A damaged one is warned
    /// of and counts for nothing.
    func beyond(_ last: LogPosition) -> SnapshotMark? {
        do {
            for candidate in try candidates(withBackups: true) where candidate.position > last {
                if isGood(candidate) { return SnapshotMark(position: candidate.position, path: candidate.path) }
            }
        } catch { warn("backups cannot be looked at: \(error)") }
        return nil
    }

    /// The newest position that a name tells, whether the file is good or not; nil where there is no copy.
    func newestNamed() throws(FileError) -> LogPosition? { try candidates(withBackups: true).first?.position }

    /// The newest good copy behind `base`, at or before the journal's end, whose last event is the journal's own.
    /// Baselines always count: they stand where events before them are missing. `ofOlderFolds`: backups that an earlier
    /// version of the fold wrote count too.
    func newest(
        after base: LogPosition = .zero, upTo last: LogPosition, withBackups: Bool, ofOlderFolds: Bool = false
    ) throws(StartFailure) -> Found? {
        do throws(JournalError) {
            let first = try data.journal.segments().first?.first ?? LogPosition(1)
            let all: [Candidate]
            do throws(FileError) { all = try candidates(withBackups: withBackups) } catch { throw .file(error) }
            for candidate in all where candidate.position <= last && candidate.position.next >= first {
                guard candidate.position > base else { break }
                guard let state = read(candidate, ofOlderFolds: ofOlderFolds || candidate.isBaseline),
                    state.position > .zero
                else { continue }
                guard try Baseline.isOf(state, data.journal) else {
                    warn("\(candidate.path) is not used: its last event is not the journal's")
                    continue
                }
                return Found(state: state, path: candidate.path)
            }
            return nil
        } catch { throw StartFailure(error) }
    }

    /// Whether a state's last event is the one that the journal has there.
    func matches(_ state: ManagerState) throws(StartFailure) -> Bool {
        do throws(JournalError) { return try Baseline.isOf(state, data.journal) } catch { throw StartFailure(error) }
    }

    /// Newest first.
    func candidates(withBackups: Bool, withCheckpoints: Bool = false) throws(FileError) -> [Candidate] {
        var found: [Candidate] = try data.journal.baselines().map {
            Candidate(position: $0, path: data.journal.baselinePath($0), isBaseline: true)
        }
        if withCheckpoints {
            found += try CheckpointFiles(data).states.map {
                Candidate(position: $0, path: CheckpointFiles.statePath($0, data), isBaseline: false)
            }
        }
        if withBackups {
            found += try BackupFile.all(data).map {
                Candidate(position: $0.position, path: $0.path(data), isBaseline: false)
            }
        }
        return found.sorted { $0.position > $1.position }
    }

    /// Whether the checksum is right, whichever version of the fold wrote it.
    private func isGood(_ candidate: Candidate) -> Bool {
        do {
            var bytes: [UInt8] = []
            try GzipFile.read(candidate.path, on: data.fileSystem) { bytes += $0 }
            if let problem = StateDecoder.checksumProblem(bytes) { throw problem }
            return true
        } catch {
            warnOf(candidate, error)
            return false
        }
    }

    /// The state of a copy; nil, and warned of, where it cannot be used. `ofOlderFolds`: see `StateDecoder`.
    func read(_ candidate: Candidate, ofOlderFolds: Bool) -> ManagerState? {
        do {
            var bytes: [UInt8] = []
            try GzipFile.read(candidate.path, on: data.fileSystem) { bytes += $0 }
            return try StateDecoder.state(bytes, ofOlderFolds: ofOlderFolds)
        } catch {
            warnOf(candidate, error)
            return nil
        }
    }

    /// The journal is whole: what helps depends on the copy.
    private func warnOf(_ candidate: Candidate, _ error: any Error) {
        let why: String
        switch error {
        case JournalError.damage(let damage): why = damage.detail
        case SnapshotProblem.checksum: why = "its checksum is wrong"
        case SnapshotProblem.malformed(let what): why = "it is no state file: \(what)"
        default: return warn("\(candidate.path) is not used: \(error)")
        }
        let advice =
            candidate.isBaseline
            ? "it stands in for history that was discarded: put it back from a copy of the directory"
            : "the journal and the other backups have everything; 'manager backups' tells which ones are good"
        warn("\(candidate.path) is damaged and counts for nothing (\(why)): \(advice)")
    }
}
