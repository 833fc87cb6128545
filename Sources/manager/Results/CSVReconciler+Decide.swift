import EventLog
import Projections
import Synchronization

extension CSVReconciler {
    /// Decides a batch on the state as it is now: the completions and how far the file was read are one command.
    /// How many tasks it completed.
    func decide(_ batch: RowBatch, _ watched: inout WatchedFile, _ working: inout Working) -> Int {
        var cancelled: [RowJudge.Candidate] = []
        let (completed, position) = processor.core.withLock { core -> (Int, LogPosition) in
            settle(&watched, core)
            var mustRecord = !batch.ended.isEmpty
            for hash in batch.ended { watched.note(hash) }
            let completions = choose(batch, &watched, core.state, &mustRecord, &cancelled)
            if !completions.isEmpty || mustRecord || isDue(watched) {
                record(completions, &watched, &core)
            } else if watched.position != watched.recordedBytes || !watched.unrecordedRows.isEmpty {
                core.unrecordedReads[watched.name] = watched.event
                watched.awaitedBytes = watched.position
            }
            return (completions.count, core.state.position)
        }
        for candidate in cancelled {
            working.warnings.say(
                "\(watched.name), row \(candidate.rowNumber): its task \(processor.snapshot.taskID(candidate.task)) is "
                    + "cancelled and stays so; requeue the task if it is to run again", of: watched.name)
        }
        // Many rows at once must not pile up before the disk.
        if completed > 0 { processor.writer.waitUntilDurable(position) }
        return completed
    }

    /// Writes the events that have waited for a minute.
    func recordDue(_ working: inout Working) {
        for name in working.files.keys.sorted() {
            guard var watched = working.files[name], watched.awaitedBytes != nil, isDue(watched) else { continue }
            processor.core.withLock { core in
                settle(&watched, core)
                if watched.awaitedBytes != nil { record([], &watched, &core) }
            }
            working.files[name] = watched
        }
    }

    /// The completions of a batch, in the order of its rows. Rows that find their task complete are noted.
    private func choose(
        _ batch: RowBatch, _ watched: inout WatchedFile, _ state: ManagerState, _ mustRecord: inout Bool,
        _ cancelled: inout [RowJudge.Candidate]
    ) -> [Event] {
        var completions: [Event] = []
        var done: Set<Int> = []
        // What the state does not count yet: rows of this batch, beside those that wait for their event.
        var new: [RowHash: Int] = [:]
        for candidate in batch.candidates {
            guard let hash = RowHash(hex: candidate.sha256.utf8) else { continue }
            if candidate.offset < watched.countsByHashTo {
                let times = watched.met[hash, default: 0] + 1
                watched.met[hash] = times
                let known = state.timesRowCounted(hash) + watched.unrecordedTimes(hash) + new[hash, default: 0]
                if times <= known { continue }
            }
            if done.contains(candidate.task) {
                watched.note(hash)
                continue
            }
            switch state.decideRow(for: candidate.task, attempt: candidate.attempt) {
            case .completes(var completion):
                if processor.reopenings.stoodBefore(
                    completion.task, in: watched.path, watched.identity, offset: candidate.offset)
                {
                    watched.note(hash)
                    mustRecord = true
                    continue
                }
                completion.row = Event.SourceRow(
                    file: watched.name, number: candidate.rowNumber, sha256: candidate.sha256)
                completions.append(.completed(completion))
                done.insert(candidate.task)
                new[hash, default: 0] += 1
            case .isComplete: watched.note(hash)
            case .isCancelled:
                watched.note(hash)
                cancelled.append(candidate)
            case .isEarlier: continue
            }
        }
        return completions
    }

    /// Takes note that an operator's act has written what waited.
    private func settle(_ watched: inout WatchedFile, _ core: borrowing CommandProcessor.Core) {
        guard let bytes = watched.awaitedBytes, core.unrecordedReads[watched.name] == nil else { return }
        watched.noteRecorded(bytes: bytes, processor.clock.steady())
    }

    private func record(_ completions: [Event], _ watched: inout WatchedFile, _ core: inout CommandProcessor.Core) {
        core.unrecordedReads[watched.name] = nil
        processor.append(completions + [.csvRead(watched.event)], actor: "csv", &core, false)
        watched.noteRecorded(bytes: watched.position, processor.clock.steady())
        guard !completions.isEmpty else { return }
        processor.forget(completions, &core)
        processor.answerHeartbeats(&core)
    }

    /// Whether a `csv_read` may be written although no row completes anything.
    private func isDue(_ watched: WatchedFile) -> Bool {
        guard watched.position != watched.recordedBytes || !watched.unrecordedRows.isEmpty else { return false }
        if watched.unrecordedRows.count > Self.mostUnrecordedRows { return true }
        return watched.recordedAt.map { processor.clock.steady() - $0 >= Self.recordInterval } ?? true
    }
}
