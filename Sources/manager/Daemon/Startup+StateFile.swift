import EventLog
import Projections

/// What a start makes of `manager_state.json`.
extension Startup {
    /// What stands there.
    enum SnapshotLook {
        /// Nothing.
        case missing
        /// Damaged: it was moved aside.
        case setAside
        /// Not to be used, though nothing is wrong: of a fold that cannot be read, or a Python manager's that the journal
        /// has taken over. The next snapshot replaces it.
        case passedOver
        /// A good one of an older fold: it knows how far the journal goes and which rows are written; the journal gives the
        /// state anew, and the next snapshot replaces it.
        case older(ManagerState)
        /// A good snapshot.
        case good(ManagerState)

        /// The snapshot, where it can be gone on from.
        var state: ManagerState? { if case .good(let state) = self { state } else { nil } }

        /// The snapshot, whichever fold wrote it.
        var known: ManagerState? {
            switch self {
            case .good(let state), .older(let state): state
            case .missing, .setAside, .passedOver: nil
            }
        }
    }

    /// Looks at the file; a Python manager's beside an empty journal is imported.
    func lookAtStateFile() throws(StartFailure) -> SnapshotLook {
        let bytes: [UInt8]
        do throws(FileError) {
            guard try data.fileSystem.metadata(data.stateFile) != nil else { return .missing }
            bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        } catch { throw StartFailure(error) }
        let problem: SnapshotProblem
        do throws(SnapshotProblem) {
            let state = try StateDecoder.state(bytes)
            if try hasJournalFiles() { return .good(state) }
            throw .malformed("journal")
        } catch { problem = error }
        let isEmpty: Bool
        do throws(JournalError) { isEmpty = try FirstSegment.isFree(data.journal) } catch { throw StartFailure(error) }
        if !StateDecoder.isOwn(bytes) {
            if isEmpty { return try importState(bytes) }
            if problem == .noJournalMember { return try passImported(bytes) }
        }
        guard try hasJournal() else { throw .missingJournal(data) }
        switch problem {
        case .otherFold:
            do throws(SnapshotProblem) { return .older(try StateDecoder.state(bytes, ofOlderFolds: true)) } catch {
                return .passedOver
            }
        case .checksum, .malformed, .noJournalMember:
            try setAside(problem.description)
            return .setAside
        }
    }

    private func hasJournalFiles() throws(SnapshotProblem) -> Bool {
        do throws(StartFailure) { return try hasJournal() } catch { throw .malformed(error.description) }
    }

    private func importState(_ bytes: [UInt8]) throws(StartFailure) -> SnapshotLook {
        let importing = PythonImport(data: data)
        let plan = try importing.plan(bytes, file: data.stateFile)
        if let beyond = StateCopies(data: data, warn: warn).beyond(.zero) {
            throw StartFailure(.snapshotBeyondEnd(snapshot: beyond.position, path: beyond.path, last: .zero))
        }
        for warning in plan.state.warnings.prefix(20) { warn(warning) }
        if plan.state.warnings.count > 20 { warn("… and \(plan.state.warnings.count - 20) more") }
        let done = try importing.write(plan, replacesStateFile: true, actor: nil)
        warn(
            "imported \(plan.summary) from a Python manager's \(data.stateFile) (local times in \(plan.source.zone))"
                + (done.copy.map { "; the file is kept as \($0)" } ?? ""))
        return .passedOver
    }

    /// A start that ended between an import and the first snapshot leaves the old file beside its journal.
    private func passImported(_ bytes: [UInt8]) throws(StartFailure) -> SnapshotLook {
        let isImported: Bool
        do throws(JournalError) { isImported = try PythonImport(data: data).isImported(bytes) } catch {
            throw StartFailure(error)
        }
        if isImported { return .passedOver }
        throw StartFailure(
            "\(data.stateFile) was written by another program, and the journal beside it has events of its own: move the "
                + "file away to go on from the journal; or 'manager reset', and 'manager import FILE' takes the file over; "
                + "or use another --data-dir")
    }

    /// Moves the state file aside under a name of its own.
    func setAside(_ why: String) throws(StartFailure) {
        let aside = "\(data.stateFile).rejected-\(FileStamp.now())"
        do throws(FileError) {
            try data.fileSystem.rename(data.stateFile, to: aside)
            try data.fileSystem.syncDirectory(data.path)
        } catch { throw StartFailure(error) }
        warn("manager_state.json is not used (\(why)); it was moved to \(aside), the journal rebuilds the state")
    }
}
