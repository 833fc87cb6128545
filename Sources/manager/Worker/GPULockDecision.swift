import EventLog

/// What stands in a GPU's lock file.
enum GPULockContent: Sendable, Equatable {
    /// There is no file.
    case absent
    /// The file is there with nothing in it: its maker is between opening and writing, or power was lost there.
    case empty
    /// The claim of this process.
    case pid(Int32)
    /// Something else; the text is its beginning, for a message.
    case broken(String)

    /// The longest content that is looked at; a process id has at most seven digits.
    static let lookedAtBytes = 64

    /// Reads a file's first bytes. White space around the number is no fault: other workers may end the line.
    init(_ bytes: [UInt8]) {
        // After a power loss a file may have its length and no content: zeros.
        let text = String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
        let trimmed = text.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
        if trimmed.isEmpty {
            self = .empty
        } else if bytes.count < Self.lookedAtBytes, trimmed.allSatisfy({ $0.isASCII && $0.isNumber }),
            let pid = Int32(String(trimmed)), pid > 0
        {
            self = .pid(pid)
        } else {
            self = .broken(String(text.prefix(40)))
        }
    }
}

/// All that is known about a GPU's lock at one look.
struct GPULockFacts: Sendable, Equatable {
    /// A process of this machine.
    enum Process: Sendable, Equatable {
        /// There is none with that id, or it has ended and waits for its parent.
        case none
        /// It runs; its start in clock ticks from the machine's, nil where the system does not show it.
        case alive(startTicks: UInt64?)
    }

    /// What stands in the lock.
    var content: GPULockContent
    /// What stands in the file beside it; nil where it is missing, or cannot be read.
    var owner: GPULockOwner?
    /// True when another manager has the guard: it holds this GPU, is about to, or gives it back.
    var isGuardedByAnother: Bool
    /// The process that the lock names.
    var process: Process
    /// Whether one more look, a moment later, is allowed.
    var mayWait: Bool
    /// Who asks.
    var asker: GPULockOwner
}

/// What is to be done about a GPU's lock. Pure; `GPULockFolder` carries it out.
///
/// | guard | lock | owner beside it | its process | decision |
/// |---|---|---|---|---|
/// | another manager | a pid | that pid, on this host | runs, same start | refuse: held |
/// | another manager | a pid | that pid, another host | not visible | refuse: another host's |
/// | another manager | anything else | any | any | wait, then refuse: contended |
/// | ours | none | any | – | take |
/// | ours | empty | any | – | wait, then take over: empty |
/// | ours | no pid | any | – | refuse: broken |
/// | ours | a pid | that pid, another host | not visible | refuse: another host's |
/// | ours | a pid | that pid, earlier start of this machine | – | take over: restarted |
/// | ours | our pid | ours or none | ourselves | take over: our number |
/// | ours | a pid | any | none | take over: ended |
/// | ours | a pid | that pid | runs, another start | take over: reused |
/// | ours | a pid | that pid | runs, same or unknown start | refuse: held |
/// | ours | a pid | none, or of another pid | runs | refuse: held |
enum GPULockDecision: Sendable, Equatable {
    /// Nobody has it.
    case take
    /// Its holder is gone.
    case takeOver(Staleness)
    /// Somebody is in the middle of something: look again.
    case wait
    /// It is not ours to take.
    case refuse(Refusal)

    /// Why a lock counts for nothing.
    enum Staleness: Sendable, Equatable {
        /// Its process has ended.
        case processEnded
        /// Its number has come to mean another process.
        case pidReused
        /// The machine was started again since.
        case machineRestarted
        /// Its number has come to mean this process, which holds nothing.
        case ownNumber
        /// Nothing stands in it, and nobody is about to write.
        case empty
    }

    /// Why a lock is not taken.
    enum Refusal: Sendable, Equatable {
        /// A process of this machine holds it; the owner is nil for a worker that leaves only its pid.
        case held(pid: Int32, owner: GPULockOwner?)
        /// A process of another machine has written it.
        case otherHost(GPULockOwner)
        /// It holds no process id.
        case broken(String)
        /// Another manager is at it, and does not say that it holds it.
        case contended
    }

    /// Decides.
    static func decide(_ facts: GPULockFacts) -> GPULockDecision {
        if facts.isGuardedByAnother { return decideGuarded(facts) }
        switch facts.content {
        case .absent: return .take
        case .empty: return facts.mayWait ? .wait : .takeOver(.empty)
        case .broken(let text): return .refuse(.broken(text))
        case .pid(let pid): return decide(pid, facts)
        }
    }

    private static func decideGuarded(_ facts: GPULockFacts) -> GPULockDecision {
        if case .pid(let pid) = facts.content, let owner = facts.owner, owner.pid == pid {
            if owner.host != facts.asker.host { return .refuse(.otherHost(owner)) }
            if case .alive(let ticks) = facts.process, ticks == owner.startTicks {
                return .refuse(.held(pid: pid, owner: owner))
            }
        }
        return facts.mayWait ? .wait : .refuse(.contended)
    }

    private static func decide(_ pid: Int32, _ facts: GPULockFacts) -> GPULockDecision {
        // An owner's line that names another process belongs to an earlier claim.
        let owner = facts.owner.flatMap { $0.pid == pid ? $0 : nil }
        if let owner, owner.host != facts.asker.host { return .refuse(.otherHost(owner)) }
        if let owner, owner.bootID != facts.asker.bootID { return .takeOver(.machineRestarted) }
        // Whoever asks holds nothing yet (the guard was free), so the number is an earlier process's.
        if pid == facts.asker.pid { return .takeOver(.ownNumber) }
        guard case .alive(let ticks) = facts.process else { return .takeOver(.processEnded) }
        if let ticks, let claimed = owner?.startTicks, ticks != claimed { return .takeOver(.pidReused) }
        return .refuse(.held(pid: pid, owner: owner))
    }
}
