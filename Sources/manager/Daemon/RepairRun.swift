import EventLog
import Projections

/// A repair of a data directory: what is planned, the state that it goes on from, and what was done.
///
/// Order of effects: a baseline, where a good state stands at or behind a gap; checkpoints behind the first missing event
/// go, as they tell of what the journal will not have any more; the journal's files, one after the other
/// (`JournalRepair`); then a start as any other, which holds the tasks in doubt and writes the notes (`GapSettlement`).
/// Power lost in between: the damaged file or the mended one, and repair again, or a start, goes on from there.
struct RepairRun {
    /// What was found, and what follows from it.
    struct Plan {
        var repair: RepairPlan
        /// The newest good state at or behind a gap: later events are folded upon it.
        var base: StateCopies.Found?
        /// What the start after it will write.
        var unsettled = GapFold.Unsettled()
    }

    let data: DataDirectory
    let warn: @Sendable (String) -> Void

    private var copies: StateCopies { StateCopies(data: data, warn: warn) }

    /// Looks at everything. Nothing is written.
    func plan() throws -> Plan {
        let saved = savedState()
        let repair = JournalRepair(data.journal) { last in
            if let saved, saved.position > last { return saved.position }
            return copies.beyond(last)?.position
        }
        let candidates = try copies.candidates(withBackups: true, withCheckpoints: true)
        let wanted = Set(candidates.map(\.position) + (saved.map { [$0.position] } ?? []))
        let found = try repair.plan(wanted: wanted)
        var plan = Plan(repair: found)
        if let missing = found.firstMissing {
            plan.base = base(saved, candidates, found, from: missing)
            try refuseForeign(plan, repair)
        }
        var fold = GapFold(plan.base?.state ?? ManagerState())
        try foldAll(repair, into: &fold)
        plan.unsettled = fold.finish(at: found.last)
        return plan
    }

    /// Carries out a plan; the lock is held, and given free. Returns what the start after it has written.
    func apply(_ plan: Plan, _ lock: DirectoryLock) throws -> GapFold.Unsettled {
        let saved = savedState()
        do {
            try keepBaseline(plan)
            if let missing = plan.repair.firstMissing {
                try CheckpointFiles(data).remove(from: missing)
            }
            try JournalRepair(data.journal) { last in
                if let saved, saved.position > last { return saved.position }
                return copies.beyond(last)?.position
            }.apply(plan.repair)
        } catch {
            lock.release()
            throw error
        }
        let offline = try OfflineManager(
            data, lock, notes: notes(plan), actor: CommandLineActor.name, warn: { [warn] in warn($0) })
        try offline.close()
        return offline.settled
    }

    // MARK: - The state behind a gap

    private func savedState() -> ManagerState? {
        do {
            return try StateDecoder.state(try readWholeFile(data.stateFile, on: data.fileSystem), ofOlderFolds: true)
        } catch {
            return nil  // missing or damaged: a copy or the journal takes its place
        }
    }

    /// The newest good state at or behind the first missing event whose last line is the journal's, or is gone.
    private func base(
        _ saved: ManagerState?, _ candidates: [StateCopies.Candidate], _ found: RepairPlan, from missing: LogPosition
    ) -> StateCopies.Found? {
        func fits(_ state: ManagerState) -> Bool {
            guard state.position >= missing, state.position <= found.last else { return false }
            return found.isMissing(state.position) || found.crcs[state.position] == state.crc
        }
        let newest = saved.flatMap { fits($0) ? StateCopies.Found(state: $0, path: data.stateFile) : nil }
        for candidate in candidates where candidate.position > newest?.state.position ?? .zero {
            // The events before it are gone, so that it counts whichever fold wrote it.
            guard candidate.position >= missing, let state = copies.read(candidate, ofOlderFolds: true) else {
                continue
            }
            if fits(state) { return StateCopies.Found(state: state, path: candidate.path) }
        }
        return newest
    }

    /// A state that stands where the journal has no line to compare must at least know the journal's tasks.
    private func refuseForeign(_ plan: Plan, _ repair: JournalRepair) throws {
        guard let base = plan.base, plan.repair.isMissing(base.state.position) else { return }
        var fold = GapFold(try Baseline.newest(in: data.journal, notAfter: .position(base.state.position)) ?? .init())
        try foldAll(repair, into: &fold, upTo: base.state.position)
        guard !fold.state.isBefore(base.state) else { return }
        throw VerbFailure(
            "\(base.path) stands at seq \(base.state.position), where the journal has no event, and does not know the "
                + "journal's tasks: it belongs to another journal. Move it away and repair again", status: 2)
    }

    private func foldAll(
        _ repair: JournalRepair, into fold: inout GapFold, upTo end: LogPosition = LogPosition(.max)
    ) throws {
        var failure: VerbFailure?
        let base = fold.state.position
        var folded = fold
        _ = try repair.plan { line throws(JournalError) in
            guard line.position > base, line.position <= end, failure == nil else { return }
            do throws(EventError) { folded.apply(try EventView(line), line) } catch {
                failure = VerbFailure("seq \(line.position): \(error)", status: 1)
            }
        }
        if let failure { throw failure }
        fold = folded
    }

    /// Snapshots are replaced and backups thinned: what makes up for lost events is kept for good.
    private func keepBaseline(_ plan: Plan) throws(FileError) {
        guard let base = plan.base else { return }
        let path = data.journal.baselinePath(base.state.position)
        guard base.path != path, try data.fileSystem.metadata(path) == nil else { return }
        var file = try AtomicFile(path, on: data.fileSystem)
        do throws(FileError) {
            var failure: FileError?
            let pieces = StateEncoder.bytes(base.state)
            var at = 0
            while at < pieces.count, failure == nil {
                let end = min(at + (1 << 20), pieces.count)
                do throws(FileError) { try file.append(gzipMember(Array(pieces[at..<end]))) } catch { failure = error }
                at = end
            }
            if let failure { throw failure }
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
    }

    // MARK: - Notes

    private func notes(_ plan: Plan) -> [Event] {
        func text(_ text: String) -> [UInt8] {
            var out: [UInt8] = []
            appendJSONString(text, to: &out)
            return out
        }
        let base = plan.base.map { text("baseline-\($0.state.position).json.gz") } ?? Array("null".utf8)
        func note(_ line: GapLine, _ bytes: Int?) -> Event {
            var more: [(key: String, json: [UInt8])] = [("sha256", text(line.sha256)), ("file", text(line.file))]
            if let bytes { more.append(("bytes", Array("\(bytes)".utf8))) }
            return GapSettlement.note(line.first, line.last, more + [("state", base)])
        }
        return plan.repair.gaps.map { note($0.line, $0.bytes) } + plan.repair.unnotedGaps.map { note($0, nil) }
            + plan.repair.strays.map { stray in
                .note(
                    type: "journal_gap",
                    members: [
                        ("file", text(stray.keptAs)), ("sha256", text(stray.sha256)),
                        ("bytes", Array("\(stray.bytes)".utf8)), ("before_seq", Array("\(stray.position)".utf8)),
                    ])
            }
            + plan.repair.unnotedSegments.map { segment in
                .note(
                    type: "journal_gap",
                    members: [
                        ("segment", Array("\(segment.number)".utf8)), ("segment_sha256", text(segment.sha256)),
                    ])
            }
    }
}
