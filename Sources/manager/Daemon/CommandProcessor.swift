import EventLog
import Projections
import Synchronization

/// The one way in: every command is decided on the state, its events are appended and applied at once, and its answer
/// waits until they are durable.
///
/// Answers that change nothing (refusals, empty lists, reads) name a position too: what they were decided on.
final class CommandProcessor: Sendable {
    /// An answer and the position that must be durable before it may leave.
    struct Decided<Answer: Sendable>: Sendable {
        let answer: Answer
        let position: LogPosition
    }

    struct Core {
        var state: ManagerState
        var scratch = EncodedCommand()
        /// How far result files were read that no event tells of yet, by file.
        var unrecordedReads: [String: Event.CSVRead] = [:]
        /// When each running attempt was last heard of in this run of the manager.
        var signs: [AttemptReference: ContinuousClock.Instant] = [:]
        var heartbeats: [String: LogTime] = [:]
        /// How far running attempts say they are, from 0 to 1.
        var progress: [AttemptReference: Double] = [:]
        /// When each worker last claimed, and when an attempt last failed, in this run.
        var seen: [String: ContinuousClock.Instant] = [:]
        var newestFailure: ContinuousClock.Instant?
        /// Running attempts that a repeated claim was given again: whoever lost the first answer has them now.
        var handedOutAgain: Set<AttemptReference> = []
        var waiters: [ClaimWaiter] = []
        var nextWaiter: UInt64 = 1
        var heartbeatWaiters: [HeartbeatWaiter] = []
        /// Events of this run by type.
        var eventCounts = [UInt64](repeating: 0, count: EventView.Kind.allCases.count)
    }

    let core: Mutex<Core>
    let writer: LogWriter
    let publisher: Publisher
    let results: ResultWriter
    let poisonAfter: Int
    /// Failures in a row after which a worker gets no more tasks; 0: never.
    let quarantineAfter: Int
    let clock: ManagerClock
    let reopenings: ReopeningMarks
    /// Why nothing but reads may be asked of it; nil where everything may.
    let readOnly: String?

    /// Joins the parts; `state` is what the journal holds.
    init(
        state: ManagerState, writer: LogWriter, publisher: Publisher, results: ResultWriter, poisonAfter: Int,
        quarantineAfter: Int = 0,
        clock: ManagerClock = .system, fileSystem: any FileSystem = LocalFileSystem(), readOnly: String? = nil
    ) {
        self.clock = clock
        self.readOnly = readOnly
        reopenings = ReopeningMarks(fileSystem)
        core = Mutex(Core(state: state))
        self.writer = writer
        self.publisher = publisher
        self.results = results
        self.poisonAfter = poisonAfter
        self.quarantineAfter = quarantineAfter
    }

    // MARK: - Append and apply

    /// Appends one command's events and applies them. The caller holds the core.
    func commit(_ events: [Event], actor: String?, _ core: inout Core, willCommit: Bool = false) -> LogPosition {
        precondition(events.count <= Bounds.commandEvents, "a command has at most \(Bounds.commandEvents) events")
        core.scratch.removeAll()
        for event in events { core.scratch.append { event.encode(actor: actor, to: &$0) } }
        let now = max(clock.wall(), core.state.time ?? LogTime(microseconds: 0))
        let command = core.scratch
        let appended = command.bytes.withUnsafeBufferPointer { bytes in
            writer.append(command, time: now, willCommit: willCommit) { position, crc, range in
                do throws(EventError) {
                    let view = try EventView(UnsafeBufferPointer(rebasing: bytes[range]))
                    core.state.apply(view, at: position, time: now, crc: crc)
                    core.eventCounts[Int(view.kind.rawValue)] += 1
                } catch { preconditionFailure("an event of our own cannot be read: \(error)") }
            }
        }
        return appended.last
    }

    /// Reads the state as it is; the answer may leave when the position is durable.
    func read<Answer: Sendable>(_ body: (ManagerState) -> Answer) -> Decided<Answer> {
        core.withLock { Decided(answer: body($0.state), position: $0.state.position) }
    }

    /// A copy of the state between two commands.
    var snapshot: ManagerState { core.withLock { $0.state } }

    // MARK: - New work

    /// Throws where new work of so many bytes cannot be admitted: the disk must have room for it and for the endings
    /// of all that runs.
    func admit(bytes: Int, _ core: borrowing Core) throws(Rejection) {
        if writer.waitingBytes > LogWriter.mostWaitingBytes {
            throw Rejection(.busy, "too much waits to be written to the disk; try again in a second")
        }
        let endings = Int64(core.state.counts[.assigned]) * 4096
        let hasRoom: Bool
        do throws(JournalError) { hasRoom = try writer.hasRoom(forBytes: bytes, keeping: endings) } catch {
            throw Rejection(.diskFull, error.description)
        }
        if !hasRoom {
            throw Rejection(.diskFull, "the disk has no room for new work: free some, running tasks can still end")
        }
    }

    /// What an addition did.
    struct Added: Sendable, Equatable {
        var added = 0
        var existing = 0
    }

    /// Adds tasks that name their ids: all are checked first; one bad item or conflict refuses them all.
    func add(_ specs: [TaskSpec], actor: String?, willCommit: Bool = false) throws(Rejection) -> Decided<Added> {
        var refused: Rejection?
        let decided = core.withLock { core -> Decided<Added> in
            var outcome = Added()
            do throws(Rejection) {
                let new = try fresh(specs, core.state, &outcome)
                try admit(bytes: new.reduce(0) { $0 + $1.config.count + 512 }, core)
                outcome.added = new.count
                append(new.map { .added(id: $0.id ?? "", spec: $0, counter: nil) }, actor: actor, &core, willCommit)
            } catch { refused = error }
            return Decided(answer: outcome, position: core.state.position)
        }
        if let refused { throw refused }
        return decided
    }

    private func fresh(
        _ specs: [TaskSpec], _ state: ManagerState, _ outcome: inout Added
    ) throws(Rejection) -> [TaskSpec] {
        var new: [TaskSpec] = []
        var seen: [ExactText: TaskSpec] = [:]
        for spec in specs {
            let id = spec.id ?? ""
            switch try state.admit(spec, id: id) {
            case .existing: outcome.existing += 1
            case .new:
                guard let earlier = seen[ExactText(id)] else {
                    seen[ExactText(id)] = spec
                    new.append(spec)
                    continue
                }
                guard earlier.phase == spec.phase, JSONEquality.equal(earlier.config, spec.config),
                    JSONEquality.equal(earlier.seed, spec.seed), earlier.outputDirectories == spec.outputDirectories
                else { throw Rejection(.conflict, "task \(id) stands twice in the request with different content") }
                outcome.existing += 1
            }
        }
        return new
    }

    /// Appends events as one command where they fit the bounds, else as several.
    @discardableResult
    func append(_ events: [Event], actor: String?, _ core: inout Core, _ willCommit: Bool) -> LogPosition {
        let events = noteReopening(events, &core)
        var start = 0
        var position = core.state.position
        while start < events.count {
            var end = start
            var bytes = 0
            while end < events.count, end - start < Bounds.commandEvents {
                switch events[end] {
                case .added(_, let spec, _): bytes += spec.config.count + 1024
                case .csvRead(let read): bytes += read.rows.count * 20 + 512
                default: bytes += 512
                }
                if bytes > Bounds.commandBytes, end > start { break }
                end += 1
            }
            position = commit(Array(events[start..<end]), actor: actor, &core, willCommit: willCommit)
            start = end
        }
        if !events.isEmpty { serveWaiters(&core) }
        return position
    }

    /// Appends events that were decided elsewhere (start, timers, notes).
    @discardableResult
    func record(_ events: [Event], actor: String?) -> LogPosition {
        core.withLock { append(events, actor: actor, &$0, false) }
    }
}
