import EventLog

/// The one fold: used live, at start, for any moment, and in tests.
extension ManagerState {
    /// Folds a journal's line. Throws for an event of an unknown type, naming the position.
    public mutating func apply(_ line: LogLine) throws(EventError) {
        let event = try EventView(line)
        apply(event, at: line.position, time: line.time, crc: line.crc)
    }

    /// Folds an event. Defined for every event in every state: events are facts, whether they make sense is decided
    /// before they are written.
    public mutating func apply(_ event: EventView, at position: LogPosition, time: LogTime, crc: UInt32) {
        self.position = position
        self.time = time
        self.crc = crc
        let now = time.microseconds
        switch event.kind {
        case .added: add(event, now)
        case .started: applyStart(event, position, now)
        case .csvRead: noteFileRead(event)
        case .note: if event.type.elementsEqual(Event.workerReleased.utf8) { releaseWorker(event) }
        default:
            guard let number = ids.number(of: event.task) else { return }
            applyToTask(number, event, now)
        }
    }

    private mutating func applyToTask(_ number: Int, _ event: EventView, _ now: Int64) {
        switch event.kind {
        case .assigned: assign(number, event, now)
        case .completed: complete(number, event, now)
        case .failed: fail(number, event, now)
        case .requeued: requeue(number, event, now)
        case .cancelled:
            endRunning(number, .operator, now)
            tasks[number].finishedAt = now
            tasks[number].reason = word(event.reason)
            forgiveLosses(number)
            move(number, to: .cancelled)
        case .held:
            endRunning(number, .operator, now)
            tasks[number].reason = word(event.reason)
            if event.reason.map({ !$0.elementsEqual("poison".utf8) }) ?? true { forgiveLosses(number) }
            move(number, to: .held)
        case .released:
            tasks[number].reason = TaskRecord.none
            forgiveLosses(number)
            move(number, to: .pending)
        case .extended:
            tasks[number].outputDirectories = extendedDirectories(
                tasks[number].outputDirectories, event.outputDirectories)
        case .prioritised:
            tasks[number].priority = Int32(clamping: event.priority)
            if tasks[number].status == .pending { claimOrder.add(number, of: self.tasks[number], gate: gate(number)) }
        case .result: tasks[number].hasResult = true
        default: return
        }
    }

    private mutating func add(_ event: EventView, _ now: Int64) {
        let (number, isNew) = ids.intern(event.task)
        guard isNew else { return }
        var task = TaskRecord()
        // Whatever an event lacks, a state is JSON.
        task.config = texts.append(event.config.isEmpty ? Self.noMembers : event.config)
        task.seed = event.seed.map { word($0) } ?? word(TaskSpec.defaultSeed)
        task.outputDirectories = word(event.outputDirectories.isEmpty ? Self.noElements : event.outputDirectories)
        task.priority = Int32(clamping: event.priority)
        task.addedAt = now
        task.template = template(of: event)
        tasks.append(task)
        let phase = Int(templates[Int(task.template)].phase)
        phaseCounts[phase][.pending] += 1
        counts[.pending] += 1
        if let counter = event.counter, counter > greatestCounter { greatestCounter = counter }
        claimOrder.add(number, of: task, gate: gate(number))
    }

    private static var noMembers: EventView.Bytes { StaticString("{}").asBytes }
    private static var noElements: EventView.Bytes { StaticString("[]").asBytes }

    private mutating func template(of event: EventView) -> UInt32 {
        let (phase, isNew) = phaseNames.intern(event.phase)
        if isNew { phaseCounts.append(StatusCounts()) }
        var template = TaskTemplate(phase: UInt32(phase), maxRetries: Int32(clamping: event.maxRetries))
        template.timeout = word(event.timeout)
        template.after = word(event.after)
        template.command = word(event.command)
        template.key = word(event.key)
        template.environment = word(event.environment)
        template.workingDirectory = word(event.workingDirectory)
        return templateNumber(template)
    }

    /// The number of a template, given now if it is new.
    mutating func templateNumber(_ template: TaskTemplate) -> UInt32 {
        if let last = templates.last, last == template { return UInt32(templates.count - 1) }
        if let known = templateNumbers[template] { return known }
        templates.append(template)
        templateNumbers[template] = UInt32(templates.count - 1)
        return UInt32(templates.count - 1)
    }

    private mutating func assign(_ number: Int, _ event: EventView, _ now: Int64) {
        letGo(number)
        let worker = event.worker.map { self.worker($0, now) } ?? TaskRecord.none
        tasks[number].worker = worker
        tasks[number].attempt = event.attempt
        tasks[number].assignedAt = event.since?.microseconds ?? now
        tasks[number].reason = TaskRecord.none
        move(number, to: .assigned)
        tasks[number].heartbeat = word(event.heartbeat)
        guard worker != TaskRecord.none else { return }
        workers[Int(worker)].holding.append(UInt32(number))
        if let key = event.claimKey {
            let assignment = ClaimMemory.Assignment(task: UInt32(number), attempt: event.attempt)
            claimMemory.note(worker: worker, key: key, assignment, at: now)
        }
    }

    private mutating func complete(_ number: Int, _ event: EventView, _ now: Int64) {
        let worker = event.worker.map { self.worker($0, now) } ?? TaskRecord.none
        if worker != TaskRecord.none {
            let isBrought = cameEnded(number, now)
            record(number, worker: worker, now, isRunning: isRunning(number, event.attempt)) { runs in
                runs.completed += 1
                if isBrought { runs.brought += 1 }
            }
            workers[Int(worker)].failuresInRow = 0
        }
        letGo(number)
        forgiveLosses(number)
        tasks[number].finishedAt = now
        tasks[number].hasError = false
        tasks[number].lastError = ByteArena.Reference()
        tasks[number].reason = TaskRecord.none
        tasks[number].completedBy = worker
        tasks[number].hasResult = event.result != nil
        if let hash = event.rowSHA256.flatMap({ RowHash(hex: $0) }) { rowMemory.note(hash) }
        move(number, to: .complete)
    }

    private mutating func fail(_ number: Int, _ event: EventView, _ now: Int64) {
        let worker = event.worker.map { self.worker($0, now) } ?? TaskRecord.none
        if worker != TaskRecord.none {
            record(number, worker: worker, now, isRunning: isRunning(number, event.attempt)) { $0.failed += 1 }
            // Tasks come one after the other, each with all of its past: what failed in a row is not known of them.
            if !cameEnded(number, now) { workers[Int(worker)].failuresInRow += 1 }
        }
        endRunning(number, .failed, now)
        forgiveLosses(number)
        tasks[number].retryCount &+= 1
        tasks[number].finishedAt = now
        tasks[number].lastError = event.hasError ? texts.append(event.error) : ByteArena.Reference()
        tasks[number].hasError = event.hasError
        tasks[number].reason = TaskRecord.none
        move(number, to: .failed)
    }

    private mutating func requeue(_ number: Int, _ event: EventView, _ now: Int64) {
        let reason = event.reason.flatMap { RequeueReason(word: $0) }
        let holder = tasks[number].worker
        if tasks[number].status == .assigned, holder != TaskRecord.none, reason?.isLoss == true {
            workers[Int(holder)].withRuns(ofPhase: phase(of: number)) { $0.lost += 1 }
        }
        endRunning(number, reason.map { EndedAttempt.Outcome($0) } ?? .operator, now)
        if reason == .returned, !claimMemory.isEmpty {
            claimMemory.giveBack(ClaimMemory.Assignment(task: UInt32(number), attempt: tasks[number].attempt))
        }
        if reason?.isLoss == true {
            losses[UInt32(number), default: 0] += 1
        } else if reason == .operator {
            forgiveLosses(number)
            tasks[number].retryCount = 0
        }
        if tasks[number].status == .complete || tasks[number].status == .cancelled {
            reopened[UInt32(number)] = tasks[number].attempt
        }
        tasks[number].worker = TaskRecord.none
        tasks[number].completedBy = TaskRecord.none
        tasks[number].hasResult = false
        tasks[number].assignedAt = TaskRecord.never
        tasks[number].finishedAt = TaskRecord.never
        tasks[number].reason = TaskRecord.none
        move(number, to: .pending)
    }

    private mutating func releaseWorker(_ event: EventView) {
        guard let name = event.worker, let number = workerNames.number(of: name) else { return }
        workers[number].failuresInRow = 0
    }

    private mutating func noteFileRead(_ event: EventView) {
        filesRead[String(decoding: event.file, as: UTF8.self)] = FileRead(
            bytes: event.fileBytes, sha256: String(decoding: event.sha256, as: UTF8.self),
            countsByHashTo: event.countsByHashTo)
        guard let rows = event.rows else { return }
        for text in Self.strings(rows) { if let hash = RowHash(hex: text.utf8) { rowMemory.note(hash) } }
    }

    private mutating func applyStart(_ event: EventView, _ position: LogPosition, _ now: Int64) {
        losses.removeAll()
        start = StartRecord(
            position: position.rawValue, time: now,
            version: event.version.map { String(decoding: $0, as: UTF8.self) } ?? "",
            host: event.host.map { String(decoding: $0, as: UTF8.self) } ?? "", pid: event.pid,
            count: (start?.count ?? 0) + 1)
    }

    // MARK: - Parts

    /// Whether an attempt is the one that runs now.
    func isRunning(_ number: Int, _ attempt: UInt32) -> Bool {
        tasks[number].status == .assigned && tasks[number].attempt == attempt
    }

    private mutating func forgiveLosses(_ number: Int) {
        if !losses.isEmpty { losses[UInt32(number)] = nil }
    }

    /// The phase's number of a task.
    func phase(of number: Int) -> UInt32 { templates[Int(tasks[number].template)].phase }

    /// The gate of a task: the `after` of its template.
    func gate(_ number: Int) -> UInt32 { templates[Int(tasks[number].template)].after }

    /// Whether an attempt that ends now had ended in another journal: an import adds the task with its past, all at one
    /// moment, and only the assignment has a time of its own.
    private func cameEnded(_ number: Int, _ now: Int64) -> Bool {
        tasks[number].addedAt == now && tasks[number].assignedAt != now
    }

    private mutating func record(
        _ number: Int, worker: UInt32, _ now: Int64, isRunning: Bool, _ count: (inout RunStatistics) -> Void
    ) {
        let duration = isRunning ? tasks[number].knownDuration(from: tasks[number].assignedAt, to: now) : nil
        workers[Int(worker)].withRuns(ofPhase: phase(of: number)) { runs in
            count(&runs)
            guard let duration else { return }
            runs.busyMicroseconds &+= duration
            runs.durations.add(microseconds: duration)
        }
    }

    /// Puts the running attempt, if any, into the list of ended ones and frees its worker.
    private mutating func endRunning(_ number: Int, _ outcome: EndedAttempt.Outcome, _ now: Int64) {
        guard tasks[number].status == .assigned else { return }
        let ended = EndedAttempt(
            attempt: tasks[number].attempt, worker: tasks[number].worker, assignedAt: tasks[number].assignedAt,
            endedAt: now, outcome: outcome, previous: tasks[number].endedAttempts)
        attempts.append(ended)
        tasks[number].endedAttempts = UInt32(attempts.count - 1)
        if ended.worker != TaskRecord.none {
            workers[Int(ended.worker)].note(ended, of: tasks[number], phase: phase(of: number))
        }
        letGo(number)
    }

    /// Takes the task from the worker that holds it.
    private mutating func letGo(_ number: Int) {
        let worker = tasks[number].worker
        guard tasks[number].status == .assigned, worker != TaskRecord.none else { return }
        if let at = workers[Int(worker)].holding.firstIndex(of: UInt32(number)) {
            workers[Int(worker)].holding.remove(at: at)
        }
    }

    private mutating func move(_ number: Int, to status: TaskStatus) {
        let old = tasks[number].status
        let phase = Int(phase(of: number))
        phaseCounts[phase][old] -= 1
        phaseCounts[phase][status] += 1
        counts[old] -= 1
        counts[status] += 1
        tasks[number].status = status
        if old == .assigned { tasks[number].heartbeat = TaskRecord.none }
        if status == .pending { claimOrder.add(number, of: tasks[number], gate: gate(number)) }
    }

    private mutating func worker(_ name: UnsafeBufferPointer<UInt8>, _ now: Int64) -> UInt32 {
        let (number, isNew) = workerNames.intern(name)
        if isNew { workers.append(WorkerRecord(firstEvent: now, lastEvent: now)) }
        workers[number].lastEvent = now
        return UInt32(number)
    }

    mutating func word(_ bytes: UnsafeBufferPointer<UInt8>?) -> UInt32 {
        guard let bytes else { return TaskRecord.none }
        return UInt32(words.intern(bytes).number)
    }

    mutating func word(_ bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBufferPointer { UInt32(words.intern($0).number) }
    }

    private mutating func extendedDirectories(_ old: UInt32, _ added: UnsafeBufferPointer<UInt8>) -> UInt32 {
        var directories = words.with(Int(old)) { Self.strings($0) }
        for directory in Self.strings(added) where !directories.containsExactly(directory) {
            directories.append(directory)
        }
        var json: [UInt8] = []
        appendJSONStrings(directories, to: &json)
        return word(json)
    }

    /// The strings of a JSON array; none for anything else.
    static func strings(_ json: UnsafeBufferPointer<UInt8>) -> [String] {
        var reader = JSONReader(json)
        do { return try reader.strings() } catch { return [] }
    }
}

extension StaticString {
    /// The text's bytes, which stay where they are.
    fileprivate var asBytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
