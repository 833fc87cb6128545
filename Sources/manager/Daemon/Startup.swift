import EventLog
import Projections
import Synchronization

/// Why the manager cannot start, with the exit status.
struct StartFailure: Error, CustomStringConvertible {
    let description: String
    let exitStatus: Int32

    init(_ description: String, exitStatus: Int32 = 1) {
        self.description = description
        self.exitStatus = exitStatus
    }

    /// Damage and missing events are 2, everything else 1.
    init(_ error: JournalError) {
        description = error.description
        exitStatus =
            switch error {
            case .damage, .snapshotBeyondEnd: 2
            case .file, .newerFormat, .locked: 1
            }
    }

    init(_ error: FileError) { self.init(error.description) }
}

/// Brings a data directory to life: snapshot, recovery of the journal's end, the events after the snapshot, owed rows.
///
/// The lock is held. Nothing is answered before this is done.
struct Startup {
    let data: DataDirectory
    let segmentBytes: Int64
    let warn: @Sendable (String) -> Void

    /// What a start found.
    struct Loaded {
        var state: ManagerState
        var store: LocalJournalStore
        var opened: OpenedJournal
        /// Where the state file stands, if one was good.
        var snapshotPosition: LogPosition?
    }

    /// `results` receives rows that are owed, before anything else is written.
    func run(results: ResultWriter) throws(StartFailure) -> Loaded {
        try removeUnfinished()
        let hasJournal = try hasJournal()
        var snapshot = try readSnapshot(hasJournal: hasJournal)
        let store = LocalJournalStore(data.journal, segmentBytes: segmentBytes, pacing: { pausePacedWriting() })
        let opened: OpenedJournal
        do throws(JournalError) { opened = try store.open(hints(snapshot)) } catch { throw StartFailure(error) }
        if let found = snapshot, found.position > .zero, try !matches(found) {
            try setAside("its last event is not the one that the journal has at seq \(found.position)")
            snapshot = nil
        }
        let isMissing = snapshot == nil && opened.last > .zero
        let state = try replay(from: snapshot ?? ManagerState(), results)
        if isMissing {
            warn(
                "manager_state.json is missing: rebuilt from the journal (\(state.taskCount) tasks); "
                    + "'manager reset' starts fresh")
        }
        return Loaded(state: state, store: store, opened: opened, snapshotPosition: snapshot?.position)
    }

    private func hasJournal() throws(StartFailure) -> Bool {
        do throws(JournalError) { return try !data.journal.segments().isEmpty } catch { throw StartFailure(error) }
    }

    private func removeUnfinished() throws(StartFailure) {
        do throws(FileError) {
            for directory in ["", "/backups", "/checkpoints"] {
                let path = data.path + directory
                guard try data.fileSystem.metadata(path) != nil else { continue }
                for name in try data.fileSystem.list(path) where name.hasSuffix(".tmp") {
                    if directory.isEmpty && name != "manager_state.json.tmp" { continue }
                    try data.fileSystem.remove(path + "/" + name)
                }
            }
        } catch { throw StartFailure(error) }
    }

    // MARK: - The snapshot

    private func readSnapshot(hasJournal: Bool) throws(StartFailure) -> ManagerState? {
        let bytes: [UInt8]
        do throws(FileError) {
            guard try data.fileSystem.metadata(data.stateFile) != nil else { return nil }
            bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
        } catch { throw StartFailure(error) }
        let problem: SnapshotProblem
        do throws(SnapshotProblem) {
            let state = try StateDecoder.state(bytes)
            if hasJournal { return state }
            throw .malformed("journal")
        } catch { problem = error }
        let remedy =
            "put \(data.journalPath)/ back, or use another --data-dir, or move the state file away to start fresh"
        switch problem {
        case .noJournalMember:
            throw StartFailure(
                "\(data.stateFile) was written by another program (\(problem)): move it away, or use another --data-dir"
            )
        case _ where !hasJournal:
            throw StartFailure(
                "\(data.stateFile) stands here, but there is no journal beside it: \(remedy)", exitStatus: 2)
        case .otherFold: return nil
        case .checksum, .malformed:
            try setAside(problem.description)
            return nil
        }
    }

    private func setAside(_ why: String) throws(StartFailure) {
        let stamp = LogTime.now().description.filter { $0.isNumber || $0 == "T" || $0 == "Z" }
        let aside = "\(data.stateFile).rejected-\(stamp)"
        do throws(FileError) {
            try data.fileSystem.rename(data.stateFile, to: aside)
            try data.fileSystem.syncDirectory(data.path)
        } catch { throw StartFailure(error) }
        warn("manager_state.json is not used (\(why)); it was moved to \(aside), the journal rebuilds the state")
    }

    private func hints(_ snapshot: ManagerState?) -> RecoveryHints {
        guard let snapshot else { return RecoveryHints() }
        let (position, crc, path) = (snapshot.position, snapshot.crc, data.stateFile)
        return RecoveryHints(
            snapshotBeyond: { $0 < position ? SnapshotMark(position: position, path: path) : nil },
            isCleanStop: { last, lastCRC, body in
                last == position && lastCRC == crc && body.starts(with: "\"type\":\"stopped\"".utf8)
            })
    }

    private func matches(_ snapshot: ManagerState) throws(StartFailure) -> Bool {
        var crc: UInt32?
        do throws(JournalError) {
            try LogReader(data.journal, from: snapshot.position).forEach { line throws(JournalError) in
                crc = line.crc
                return false
            }
        } catch { throw StartFailure(error) }
        return crc == snapshot.crc
    }

    // MARK: - The events after it

    private func replay(from base: ManagerState, _ results: ResultWriter) throws(StartFailure) -> ManagerState {
        var state = base
        var owed: [(task: String, attempt: UInt32, result: [UInt8], position: LogPosition)] = []
        var failure: StartFailure?
        var extended: [ExtendedRows.Wanted] = []
        results.writeOwed([], outputDirectories: base.outputDirectories)
        func writeOwed() {
            let rows = owed.compactMap { results.owe($0.task, $0.attempt, $0.result, $0.position, state) }
            owed.removeAll()
            results.writeOwed(rows, outputDirectories: [])
        }
        do throws(JournalError) {
            try LogReader(data.journal, from: base.position.next, prefetching: true).forEach {
                line throws(JournalError) in
                do throws(EventError) {
                    let event = try EventView(line.body)
                    state.apply(event, at: line.position, time: line.time, crc: line.crc)
                    if let result = event.result, event.kind == .completed || event.kind == .result {
                        owed.append(
                            (String(decoding: event.task, as: UTF8.self), event.attempt, Array(result), line.position))
                        if owed.count >= 10_000 { writeOwed() }
                    }
                    if event.kind == .extended, let wanted = ExtendedRows.Wanted(event, state) {
                        extended.append(wanted)
                    }
                } catch {
                    failure = StartFailure("seq \(line.position): \(error)")
                    return false
                }
                return true
            }
        } catch { throw StartFailure(error) }
        if let failure { throw failure }
        if !owed.isEmpty { writeOwed() }
        do throws(JournalError) {
            try ExtendedRows(journal: data.journal, results: results).write(extended, at: state.position, state)
        } catch { throw StartFailure(error) }
        return state
    }
}
