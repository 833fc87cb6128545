import EventLog

/// Claims that named a key, so that a repetition gives the same tasks: for ten minutes of the journal's time.
///
/// Kept in the state, so that a repetition counts after a restart too. A task that was given back counts as never
/// claimed. Empty, and of no cost, where nobody names keys.
struct ClaimMemory: Sendable {
    /// How long a key counts, in microseconds.
    static let lifetime: Int64 = 600_000_000
    /// Assignments by keys within that time at most; whoever decides claims sees to it.
    static let most = 100_000

    /// One attempt of one task.
    struct Assignment: Sendable, Equatable {
        var task: UInt32
        var attempt: UInt32
    }

    /// A key belongs to the worker that named it.
    private struct Name: Hashable {
        var worker: UInt32
        var key: [UInt8]
    }

    private struct Claim {
        var time: Int64
        var assignments: [Assignment]
    }

    private struct Entry {
        var name: Name
        var time: Int64
        /// Assignments that were noted before this claim.
        var before: Int
    }

    private var claims: [Name: Claim] = [:]
    /// In the order of time, from `first` on.
    private var order: [Entry] = []
    private var first = 0
    /// The newest claim of each task.
    private var names: [UInt32: Name] = [:]
    private var noted = 0

    /// True where nothing is remembered.
    var isEmpty: Bool { claims.isEmpty }

    /// Whether all that is remembered is of the first so many tasks.
    func isWithin(_ tasks: Int) -> Bool { names.keys.allSatisfy { Int($0) < tasks } }

    /// Notes an assignment; those of one claim come one after another. Forgets what is too old by then.
    mutating func note(worker: UInt32, key: some Sequence<UInt8>, _ assignment: Assignment, at time: Int64) {
        forget(at: time)
        let name = Name(worker: worker, key: Array(key))
        if claims[name]?.assignments.append(assignment) == nil {
            claims[name] = Claim(time: time, assignments: [assignment])
            order.append(Entry(name: name, time: time, before: noted))
        }
        names[assignment.task] = name
        noted += 1
    }

    /// An attempt was given back.
    mutating func giveBack(_ assignment: Assignment) {
        guard let name = names[assignment.task], var claim = claims[name] else { return }
        claim.assignments.removeAll { $0 == assignment }
        names[assignment.task] = nil
        claims[name] = claim.assignments.isEmpty ? nil : claim
        guard claim.assignments.isEmpty else { return }
        if let at = order.lastIndex(where: { $0.name == name && $0.time == claim.time }), at >= first {
            order.remove(at: at)
        }
    }

    /// What a key of a worker stands for at a moment; nil where it is new or too old.
    func find(worker: UInt32, key: some Sequence<UInt8>, at time: Int64) -> (time: Int64, assignments: [Assignment])? {
        guard !claims.isEmpty, let claim = claims[Name(worker: worker, key: Array(key))],
            !Self.isOver(claim.time, at: time)
        else { return nil }
        return (claim.time, claim.assignments)
    }

    /// How many assignments count at a moment; those that were given back included.
    func count(at time: Int64) -> Int {
        var (low, high) = (first, order.count)
        while low < high {
            let middle = (low + high) / 2
            if Self.isOver(order[middle].time, at: time) { low = middle + 1 } else { high = middle }
        }
        return low < order.count ? noted - order[low].before : 0
    }

    private static func isOver(_ time: Int64, at now: Int64) -> Bool { now - time >= lifetime }

    private mutating func forget(at time: Int64) {
        while first < order.count, Self.isOver(order[first].time, at: time) {
            let entry = order[first]
            first += 1
            guard let claim = claims.removeValue(forKey: entry.name) else { continue }
            for assignment in claim.assignments where names[assignment.task] == entry.name {
                names[assignment.task] = nil
            }
        }
        guard first > 1024, first * 2 > order.count else { return }
        order.removeFirst(first)
        first = 0
    }

    // MARK: - In the state file

    /// Appends what counts at a moment as a JSON array of `{"worker":N,"key":"…","time_us":T,"tasks":[[N,attempt],…]}`.
    func append(at time: Int64, to out: inout [UInt8]) {
        out.append(91)
        var isFirst = true
        for entry in order[first...] where !Self.isOver(entry.time, at: time) {
            guard let claim = claims[entry.name] else { continue }
            if !isFirst { out.append(44) }
            isFirst = false
            out.append(contentsOf: "{\"worker\":\(entry.name.worker),\"key\":".utf8)
            entry.name.key.withUnsafeBufferPointer { appendJSONString($0, to: &out) }
            out.append(contentsOf: ",\"time_us\":\(entry.time),\"tasks\":[".utf8)
            for (index, assignment) in claim.assignments.enumerated() {
                out.append(contentsOf: "\(index > 0 ? "," : "")[\(assignment.task),\(assignment.attempt)]".utf8)
            }
            out.append(contentsOf: "]}".utf8)
        }
        out.append(93)
    }

    /// Reads what `append` wrote.
    static func read(_ reader: inout JSONReader) throws(JSONError) -> ClaimMemory {
        var memory = ClaimMemory()
        try reader.array { reader throws(JSONError) in
            var (worker, time): (UInt32, Int64) = (0, 0)
            var key = ""
            var assignments: [Assignment] = []
            try reader.object { name, reader throws(JSONError) in
                switch name {
                case "worker": worker = UInt32(clamping: try reader.integer())
                case "key": key = try reader.string()
                case "time_us": time = try MoreReading.time(&reader)
                case "tasks":
                    for pair in try MoreReading.pairs(&reader) {
                        assignments.append(Assignment(task: UInt32(clamping: pair.first), attempt: pair.second))
                    }
                default: try reader.skip()
                }
            }
            for assignment in assignments { memory.note(worker: worker, key: key.utf8, assignment, at: time) }
        }
        return memory
    }
}

/// Repeated claims.
extension ManagerState {
    /// The most bytes of a claim's key.
    public static let mostClaimKeyBytes = 128

    /// What a claim whose key was named before gets: what is still running of it, with the same attempts. Nil where the
    /// claim is a new one. Throws `.conflict` where nothing of it is running any more, `.busy` where so many keys were
    /// named that one more cannot be remembered.
    public func repeatedClaim(_ request: ClaimRequest, now: LogTime) throws(Rejection) -> [ClaimedTask]? {
        guard let key = request.key else { return nil }
        let now = max(now, time ?? now).microseconds
        if let worker = workerNames.number(of: request.worker),
            let found = claimMemory.find(worker: UInt32(worker), key: key.utf8, at: now)
        {
            let running = found.assignments.filter { isRunning(Int($0.task), $0.attempt) }
            guard !running.isEmpty else {
                throw Rejection(
                    .conflict,
                    "what worker \(request.worker) claimed with this Idempotency-Key at "
                        + "\(LogTime(microseconds: found.time)) is not running any more: claim with a new key")
            }
            return running.map { claimedTask(Int($0.task), attempt: $0.attempt) }
        }
        guard claimMemory.count(at: now) + request.count <= ClaimMemory.most else {
            throw Rejection(
                .busy,
                "\(ClaimMemory.most) tasks were claimed with an Idempotency-Key within ten minutes, more cannot be "
                    + "remembered: claim without a key, or later")
        }
        return nil
    }
}
