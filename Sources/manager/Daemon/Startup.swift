import EventLog
import Projections
import Synchronization

/// Why the manager cannot start, with the exit status.
struct StartFailure: Error, CustomStringConvertible {
    let description: String
    let exitStatus: Int32
    /// True where the disk had no room: the same start may succeed later.
    var isDiskFull = false

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
            case .file, .newerFormat, .unfoldable, .locked, .discarded, .refused: 1
            }
        if case .file(let failure) = error { isDiskFull = failure.isDiskFull }
    }

    init(_ error: FileError) {
        self.init(error.description)
        isDiskFull = error.isDiskFull
    }
}

/// Brings a data directory to life: an old manager's state, snapshot, recovery of the journal's end, the events after
/// the snapshot, owed rows.
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
        /// What a repair has left to be written.
        var unsettled = GapFold.Unsettled()
    }

    /// The results that are held in memory before their rows are written.
    private static let owedRoundBytes = 256 << 20

    /// `results` receives rows that are owed, before anything else is written.
    func run(results: ResultWriter) throws(StartFailure) -> Loaded {
        try removeUnfinished()
        let hadJournal = try hasJournal()
        var snapshot = try lookAtStateFile()
        let copies = StateCopies(data: data, warn: warn)
        let store = LocalJournalStore(data.journal, segmentBytes: segmentBytes, pacing: { pausePacedWriting() })
        let opened: OpenedJournal
        do throws(JournalError) { opened = try store.open(hints(snapshot.known, copies)) } catch {
            throw StartFailure(error)
        }
        if let found = snapshot.known, found.position > .zero, try !copies.matches(found) {
            try setAside("its last event is not the one that the journal has at seq \(found.position)")
            snapshot = .setAside
        }
        let base = try base(snapshot, copies, upTo: opened.last)
        try refuseLostBeginning(base)
        let (state, unsettled) = try replay(
            from: base ?? ManagerState(), upTo: opened.last, knowing: snapshot.known, results)
        if case .missing = snapshot, opened.last > .zero, hadJournal {
            warn(
                "manager_state.json is missing: rebuilt from the journal (\(state.taskCount) tasks); "
                    + "'manager reset' starts fresh")
        }
        return Loaded(
            state: state, store: store, opened: opened, snapshotPosition: snapshot.state?.position, unsettled: unsettled
        )
    }

    func hasJournal() throws(StartFailure) -> Bool {
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

    private func hints(_ snapshot: ManagerState?, _ copies: StateCopies) -> RecoveryHints {
        let path = data.stateFile
        return RecoveryHints(
            snapshotBeyond: { last in
                if let snapshot, last < snapshot.position {
                    return SnapshotMark(position: snapshot.position, path: path)
                }
                return copies.beyond(last)
            },
            isCleanStop: { last, lastCRC, body in
                guard let snapshot else { return false }
                return last == snapshot.position && lastCRC == snapshot.crc
                    && body.starts(with: "\"type\":\"stopped\"".utf8)
            })
    }

    /// What the events are folded upon: the snapshot; where that was damaged, the newest good backup; where history was
    /// discarded, a baseline or a backup. Nil: the whole journal.
    private func base(
        _ snapshot: SnapshotLook, _ copies: StateCopies, upTo last: LogPosition
    ) throws(StartFailure) -> ManagerState? {
        if let state = snapshot.state {
            // A repair has left a state behind a gap that this one stands before.
            guard let later = try copies.newest(after: state.position, upTo: last, withBackups: false) else {
                return state
            }
            warn("the state is taken from \(later.path) (seq \(later.state.position)) and the events after it")
            return later.state
        }
        let isDamaged = if case .setAside = snapshot { true } else { false }
        let isDiscarded: Bool
        do throws(JournalError) { isDiscarded = try data.journal.historyBegins() > LogPosition(1) } catch {
            throw StartFailure(error)
        }
        var found = try copies.newest(upTo: last, withBackups: isDamaged || isDiscarded)
        if found == nil, isDiscarded {
            // The events before are gone: a state of an older fold is better than none.
            found = try copies.newest(upTo: last, withBackups: true, ofOlderFolds: true)
            if case .older(let state) = snapshot, state.position > found?.state.position ?? .zero {
                found = StateCopies.Found(state: state, path: data.stateFile)
            }
        }
        guard let found else { return nil }
        warn("the state is taken from \(found.path) (seq \(found.state.position)) and the events after it")
        return found.state
    }

    /// Where history was discarded, the events that are left tell nothing without the state before them.
    private func refuseLostBeginning(_ base: ManagerState?) throws(StartFailure) {
        let begins: LogPosition
        do throws(JournalError) { begins = try data.journal.historyBegins() } catch { throw StartFailure(error) }
        guard begins > base?.position.next ?? LogPosition(1) else { return }
        throw StartFailure(
            "the journal begins at seq \(begins), and no good state stands for what was discarded before it: put "
                + "\(data.journal.baselinePath(begins.previous)) back from a copy, or a backup of that seq or a later one; "
                + "nothing was changed", exitStatus: 2)
    }

    // MARK: - The events after it

    /// `snapshot`: also where it is not gone on from. No snapshot passes a row that is owed.
    private func replay(
        from base: ManagerState, upTo last: LogPosition, knowing snapshot: ManagerState?, _ results: ResultWriter
    ) throws(StartFailure) -> (ManagerState, GapFold.Unsettled) {
        var fold = GapFold(base)
        var owed: [(task: String, attempt: UInt32, result: [UInt8], position: LogPosition)] = []
        var owedBytes = 0
        var failure: StartFailure?
        var extended: [ExtendedRows.Wanted] = []
        let settled = snapshot?.position ?? .zero
        results.writeOwed([], outputDirectories: (snapshot ?? base).outputDirectories)
        func writeOwed() {
            let rows = owed.compactMap { results.owe($0.task, $0.attempt, $0.result, $0.position, fold.state) }
            owed.removeAll()
            owedBytes = 0
            results.writeOwed(rows, outputDirectories: [])
        }
        do throws(JournalError) {
            try LogReader(data.journal, from: base.position.next, prefetching: true).forEach {
                line throws(JournalError) in
                do throws(EventError) {
                    let event = try EventView(line)
                    fold.apply(event, line)
                    guard line.position > settled else { return true }
                    if let result = event.result, event.kind == .completed || event.kind == .result {
                        owed.append(
                            (String(decoding: event.task, as: UTF8.self), event.attempt, Array(result), line.position))
                        owedBytes += result.count + 256
                        // Each round looks through the files for rows that stand there already: few, large rounds.
                        if owedBytes >= Self.owedRoundBytes { writeOwed() }
                    }
                    if event.kind == .extended, let wanted = ExtendedRows.Wanted(event, fold.state) {
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
        let state = fold.state
        do throws(JournalError) {
            try ExtendedRows(data: data, results: results).write(extended, at: state.position, state)
        } catch { throw StartFailure(error) }
        return (state, fold.finish(at: last))
    }
}
