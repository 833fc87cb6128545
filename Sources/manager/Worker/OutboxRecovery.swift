import EventLog
import Glibc
import Projections

/// What `Outbox.recover` found and did.
struct OutboxRecovery: Sendable {
    /// Outcomes that the manager may not have: to be delivered before anything is claimed.
    var outcomes: [KeptOutcome] = []
    /// The attempts whose programs nobody watched any more; their ends count for nothing.
    var abandoned: [RunningChild] = []
    /// The processes that were ended.
    var endedProcesses: Int = 0
    /// Keepers that live: their programs go on, and are waited for.
    var adopted: [Outbox.Adoptable] = []
    /// Records that could not be read, set aside as `NAME.damaged`, and left-overs that could not be removed: sentences for
    /// warnings.
    var damaged: [String] = []
}

/// Why an outbox cannot be used.
enum OutboxError: Error, Sendable, CustomStringConvertible {
    /// A call on the disk failed.
    case file(FileError)
    /// Processes left behind do not end, whatever they are sent.
    case processesRemain([Int32])

    /// One sentence: what is wrong, what to do.
    var description: String {
        switch self {
        case .file(let error): error.description
        case .processesRemain(let pids):
            "programs left behind do not end even by SIGKILL "
                + "(process \(pids.map(String.init).joined(separator: ", "))): they may wait for a device; "
                + "end them, or restart the machine, then run again"
        }
    }
}

extension Outbox {
    /// For a start after a crash: ends the programs left behind, waits until they are gone, removes their files.
    ///
    /// Before it is called, whoever else may use the outbox is excluded (the journal's lock). Programs get SIGTERM,
    /// and SIGKILL `grace` later. A process is taken for one of ours if a record names its pid and its start, or if
    /// it was started with our mark in its environment: so a reused pid is never touched, and a child that was
    /// started but not recorded yet is found. This process and those above it are left alone, whatever mark they
    /// carry. Outcomes stay on disk until they are delivered (`forget`).
    ///
    /// Keepers that live are left alone, with all that they watch, where `adopts` says so; else they are ended first.
    func recover(
        grace: Duration = .seconds(10), adopts: Bool = false
    ) async throws(OutboxError) -> OutboxRecovery {
        var living = try await onThread(named: "outbox-keepers") { keepersFound() }.outOfOutbox()
        if !adopts {
            await end(living)
            living = []
        }
        let adopted = Set(living.map(\.reference))
        let read = await onThread(named: "outbox-read") { readRecords(but: adopted) }
        var recovery = try read.outOfOutbox()
        recovery.adopted = living
        recovery.endedProcesses = try await endProcesses(recorded: recovery.abandoned, but: adopted, grace: grace)
        let removed = await onThread(named: "outbox-clean") { removeLeftovers(but: adopted) }
        recovery.damaged += try removed.outOfOutbox()
        return recovery
    }

    private func keepersFound() -> Result<[Adoptable], FileError> {
        do throws(FileError) { return .success(try livingKeepers()) } catch { return .failure(error) }
    }

    /// Ends what runs of one attempt whose keeper was killed; the number of processes.
    func endProcesses(of reference: AttemptReference) async throws(OutboxError) -> Int {
        var recorded: [RunningChild] = []
        do {
            recorded.append(try RunningChild(json: try readWholeFile(path(of: reference, .running), on: fileSystem)))
        } catch { recorded = [] }  // not recorded yet: the mark in its environment tells
        return try await endProcesses(recorded: recorded, only: reference, grace: .seconds(10))
    }

    private func readRecords(but adopted: Set<AttemptReference>) -> Result<OutboxRecovery, FileError> {
        do throws(FileError) {
            var recovery = OutboxRecovery()
            for name in try fileSystem.list(directory) {
                let path = "\(directory)/\(name)"
                let isRunning = name.hasSuffix(Suffix.running.rawValue)
                guard isRunning || name.hasSuffix(Suffix.outcome.rawValue) else { continue }
                let bytes: [UInt8]
                do throws(FileError) {
                    // What a program put there (a directory, a pipe) is no record.
                    bytes = try fileSystem.metadata(path)?.isRegular == true ? readWholeFile(path, on: fileSystem) : []
                } catch {
                    recovery.damaged.append("\(error): it is left there; make it readable, or remove it")
                    continue
                }
                do throws(JSONError) {
                    if isRunning {
                        let child = try RunningChild(json: bytes)
                        if !adopted.contains(child.reference) { recovery.abandoned.append(child) }
                    } else {
                        let outcome = try KeptOutcome(json: bytes)
                        if !adopted.contains(outcome.reference) { recovery.outcomes.append(outcome) }
                    }
                } catch { recovery.damaged.append(setAside(name, error)) }
            }
            return .success(recovery)
        } catch { return .failure(error) }
    }

    /// Renames a record that is none; a sentence for a warning.
    private func setAside(_ name: String, _ fault: JSONError) -> String {
        let path = "\(directory)/\(name)"
        do throws(FileError) {
            try removeIfPresent(path + ".damaged")
            try fileSystem.rename(path, to: path + ".damaged")
            try fileSystem.syncDirectory(directory)
        } catch { return "\(path) cannot be read (\(fault)), nor set aside (\(error)): remove it" }
        return "\(path) cannot be read (\(fault)): kept as \(name).damaged"
    }

    /// Removes what runs left behind; a sentence for each that cannot be, which stops no start.
    private func removeLeftovers(but adopted: Set<AttemptReference>) -> Result<[String], FileError> {
        let kept = adopted.map { "\($0.task).\($0.attempt)." }
        var problems: [String] = []
        do throws(FileError) {
            for name in try fileSystem.list(directory) where !kept.contains(where: { name.hasPrefix($0) }) {
                let isTemporary = Suffix.allCases.contains { name.hasSuffix($0.rawValue + ".tmp") }
                let isOfARun = [Suffix.config, .result, .running, .progress, .keeper, .order].contains {
                    name.hasSuffix($0.rawValue)
                }
                guard isTemporary || isOfARun else { continue }
                do throws(FileError) { try removeIfPresent("\(directory)/\(name)") } catch {
                    problems.append("\(error): it is left there; remove it")
                }
            }
            try fileSystem.syncDirectory(directory)
            return .success(problems)
        } catch { return .failure(error) }
    }

    /// Ends every process of ours; the number of those found.
    private func endProcesses(
        recorded: [RunningChild], but adopted: Set<AttemptReference> = [], only: AttemptReference? = nil,
        grace: Duration
    ) async throws(OutboxError) -> Int {
        let clock = ContinuousClock()
        let start = clock.now
        var known: Set<ProcessTable.Entry> = []
        var signal = SIGTERM
        var kills = 0
        while true {
            let found = await onThread(named: "outbox-search") {
                processesLeft(recorded: recorded, but: adopted, only: only)
            }
            let left = try found.outOfOutbox()
            if left.isEmpty { return known.count }
            // Each is told once to end, also those that were forked meanwhile; SIGKILL is sent again and again.
            send(signal, to: signal == SIGKILL ? left : left.subtracting(known))
            known.formUnion(left)
            if signal == SIGKILL { kills += 1 }
            let waited = start.duration(to: clock.now)
            if waited >= grace { signal = SIGKILL }
            // Counted too, not only timed: on a starved machine a single look may take seconds.
            if kills >= 50 && waited >= grace + .seconds(10) { throw .processesRemain(left.map(\.pid).sorted()) }
            do { try await Task.sleep(for: .milliseconds(20)) } catch {
                // Cancelled: the programs still end before anything new starts, only sooner.
                signal = SIGKILL
                await onThread(named: "outbox-pause") { _ = usleep(20_000) }
            }
        }
    }

    /// The living processes of ours, as far as the system tells.
    private func processesLeft(
        recorded: [RunningChild], but adopted: Set<AttemptReference>, only: AttemptReference?
    ) -> Result<Set<ProcessTable.Entry>, FileError> {
        do throws(FileError) {
            let everybody = try processes.all()
            let ourselves = processes.ancestors(of: getpid())
            let user = geteuid()
            let leaders = Set(
                everybody.filter { entry in
                    recorded.contains {
                        $0.bootID == bootID && $0.pid == entry.pid && $0.startTicks == entry.startTicks
                    }
                }.map(\.pid))
            let ours = everybody.filter { entry in
                guard entry.isAlive, !ourselves.contains(entry.pid) else { return false }
                if leaders.contains(entry.pid) || leaders.contains(entry.group) { return true }
                guard processes.wasStarted(entry.pid, with: ProgramInputs.markerVariable, directory, byUser: user)
                else { return false }
                func isOf(_ attempt: AttemptReference) -> Bool {
                    processes.wasStarted(entry.pid, with: "MANAGER_TASK_ID", attempt.task, byUser: user)
                        && processes.wasStarted(entry.pid, with: "MANAGER_ATTEMPT", "\(attempt.attempt)", byUser: user)
                }
                if let only { return isOf(only) }
                return !adopted.contains { isOf($0) }
            }
            return .success(Set(ours))
        } catch { return .failure(error) }
    }

    /// Sends a signal to each. A whole group at once where its leader is among them, so that none forks away.
    private func send(_ signal: Int32, to targets: Set<ProcessTable.Entry>) {
        for target in targets where processes.entry(target.pid)?.startTicks == target.startTicks {
            // Failing means that it is gone, or not ours to end: the next look tells.
            _ = kill(target.group == target.pid ? -target.pid : target.pid, signal)
        }
    }
}

extension Result where Failure == FileError {
    fileprivate func outOfOutbox() throws(OutboxError) -> Success {
        switch self {
        case .success(let value): return value
        case .failure(let error): throw .file(error)
        }
    }
}
