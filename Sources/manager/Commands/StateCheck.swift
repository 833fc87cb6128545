import EventLog
import Projections

/// Compares every saved state (snapshot, backups, baselines) with what the journal gives at its position.
struct StateCheck {
    /// What became of one file.
    struct Finding {
        /// The file, relative to the data directory.
        var file: String
        var position: LogPosition
        var verdict: Verdict
        /// True where an earlier version of the fold wrote it: the journal's events give another state now.
        var isOfOlderFold = false

        enum Verdict {
            case agrees
            /// It cannot be compared: why.
            case skipped(String)
            /// It is no whole file: why.
            case damaged(String)
            case differs(StateDifference)
        }
    }

    private struct Saved {
        var file: String
        var position: LogPosition
        var isBaseline = false
    }

    private let data: DataDirectory

    init(_ data: DataDirectory) { self.data = data }

    /// Folds the whole journal once, and what lies before a difference once more. Oldest first.
    func run() throws -> [Finding] {
        var (waiting, findings) = try saved()
        var state = ManagerState()
        var isExact = true
        var agreed: (state: ManagerState, file: String?) = (state, nil)
        let baselines = waiting.filter(\.isBaseline)
        func compareAll(at position: LogPosition) throws {
            while let next = waiting.first, next.position <= position {
                waiting.removeFirst()
                let finding = try compare(next, state, isExact: isExact, agreed)
                findings.append(finding)
                if case .agrees = finding.verdict { agreed = (state, next.file) }
                // Every fold begins with it, also where the events before it should still stand.
                let isBeginning = next.isBaseline && next.position == state.position
                if isBeginning, !isExact || finding.isOfOlderFold, let baseline = try read(next) {
                    (state, isExact) = (baseline, true)
                    agreed = (state, next.file)
                }
            }
        }
        try compareAll(at: .zero)
        var failure: (any Error)?
        try LogReader(data.journal, prefetching: true).forEach { line throws(JournalError) in
            do {
                if line.position > state.position.next {
                    // Events are missing: a baseline makes up for them, as far as it reaches.
                    try compareAll(at: line.position.previous)
                    isExact = false
                    let filling = baselines.last { $0.position < line.position && $0.position > state.position }
                    if let filling, let baseline = try read(filling) {
                        (state, isExact) = (baseline, baseline.position == line.position.previous)
                        agreed = (state, filling.file)
                    }
                }
                try state.apply(line)
                try compareAll(at: line.position)
            } catch {
                failure = error
                return false
            }
            return true
        }
        if let failure { throw failure }
        for rest in waiting {
            findings.append(
                Finding(file: rest.file, position: rest.position, verdict: .skipped("the journal ends before it")))
        }
        return findings
    }

    /// What stands there, oldest first, and files whose place cannot be told.
    private func saved() throws -> ([Saved], [Finding]) {
        var found: [Saved] = []
        var damaged: [Finding] = []
        if try data.fileSystem.metadata(data.stateFile) != nil {
            let bytes = try readWholeFile(data.stateFile, on: data.fileSystem)
            let file = "manager_state.json"
            if let position = StateDecoder.statedPosition(bytes) {
                found.append(Saved(file: file, position: position))
            } else if StateDecoder.isOwn(bytes) {
                damaged.append(
                    Finding(file: file, position: .zero, verdict: .damaged("it does not say where it stands")))
            }
        }
        found += try BackupFile.all(data).map { Saved(file: "backups/" + $0.name, position: $0.position) }
        found += try data.journal.baselines().map {
            Saved(file: "journal/baseline-\($0).json.gz", position: $0, isBaseline: true)
        }
        return (found.sorted { $0.position < $1.position }, damaged)
    }

    private func bytes(_ saved: Saved) throws(JournalError) -> [UInt8] {
        let path = data.path + "/" + saved.file
        guard saved.file.hasSuffix(".gz") else {
            do { return try readWholeFile(path, on: data.fileSystem) } catch { throw .file(error) }
        }
        var bytes: [UInt8] = []
        try GzipFile.read(path, on: data.fileSystem) { bytes += $0 }
        return bytes
    }

    private func read(_ saved: Saved) throws -> ManagerState? {
        do { return try StateDecoder.state(try bytes(saved), ofOlderFolds: true) } catch is SnapshotProblem {
            return nil
        } catch {
            if case .damage? = error as? JournalError { return nil }
            throw error
        }
    }

    private func compare(
        _ saved: Saved, _ state: ManagerState, isExact: Bool, _ agreed: (state: ManagerState, file: String?)
    ) throws -> Finding {
        func finding(_ verdict: Finding.Verdict) -> Finding {
            Finding(file: saved.file, position: saved.position, verdict: verdict)
        }
        let bytes: [UInt8]
        do throws(JournalError) { bytes = try self.bytes(saved) } catch {
            switch error {
            case .file(let failure) where failure.isNotFound: return finding(.skipped("it was removed meanwhile"))
            case .damage(let damage): return finding(.damaged(damage.detail))
            default: throw error
            }
        }
        guard StateDecoder.statedPosition(bytes) == saved.position else {
            // The snapshot may just have been replaced.
            if saved.file == "manager_state.json" { return finding(.skipped("it was replaced meanwhile")) }
            return finding(.damaged("it stands at another seq than its name says"))
        }
        let theirs: ManagerState
        do throws(SnapshotProblem) { theirs = try StateDecoder.state(bytes) } catch {
            if case .otherFold = error {
                var skipped = finding(.skipped(error.description))
                skipped.isOfOlderFold = true
                return skipped
            }
            return finding(.damaged(error.description))
        }
        guard let hashes = StateDecoder.stateHashes(bytes), hashes.stated == hashes.found else {
            return finding(.damaged("its state_hash is not that of its content"))
        }
        guard state.position == saved.position else {
            return finding(.skipped("its last event is missing in the journal"))
        }
        if hashes.stated == StateEncoder.stateHash(state) { return finding(.agrees) }
        guard isExact else { return finding(.skipped("it may know events that are missing in the journal")) }
        return finding(
            .differs(try StateDifference(theirs, state, agreed.state, agreedFile: agreed.file, data.journal)))
    }
}

extension StateCheck.Finding {
    /// The damage that a verification counts; nil for none.
    var damage: JournalDamage? {
        switch verdict {
        case .agrees, .skipped: nil
        case .damaged(let why):
            JournalDamage(kind: .bitRot, file: "../" + file, position: position, detail: why)
        case .differs(let difference):
            JournalDamage(
                kind: .state, file: "../" + file, position: difference.first ?? position, detail: difference.summary)
        }
    }

    /// Lines for people.
    var text: String {
        switch verdict {
        case .agrees: "state: \(file) (seq \(position)) is what the journal gives\n"
        case .skipped(let why): "state: \(file) (seq \(position)) is not compared: \(why)\n"
        case .damaged(let why): "state: \(file) (seq \(position)) is damaged: \(why)\n"
        case .differs(let difference):
            "state: \(file) (seq \(position)) differs: \(difference.summary)\n\(difference.list)"
        }
    }

    /// One object.
    func json(_ quoted: (String) -> String) -> String {
        let start = "{\"file\":\(quoted(file)),\"seq\":\(position),"
        switch verdict {
        case .agrees: return start + "\"ok\":true}"
        case .skipped(let why): return start + "\"ok\":null,\"detail\":\(quoted(why))}"
        case .damaged(let why): return start + "\"ok\":false,\"detail\":\(quoted(why))}"
        case .differs(let difference): return start + "\"ok\":false,\(difference.json(quoted))}"
        }
    }
}
