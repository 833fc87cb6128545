import EventLog

/// A Python manager's state as events of the journal's table.
extension PythonState {
    /// Where the file came from, for the `imported` note.
    public struct Source: Sendable {
        /// The file's name, as the user gave it.
        public var file: String
        /// Its size.
        public var bytes: Int
        /// SHA-256 of its bytes, in hex.
        public var sha256: String
        /// The zone that local times were read in.
        public var zone: String

        /// Puts the parts together.
        public init(file: String, bytes: Int, sha256: String, zone: String) {
            self.file = file
            self.bytes = bytes
            self.sha256 = sha256
            self.zone = zone
        }
    }

    /// The note that stands first.
    public func note(_ source: Source) -> Event {
        func text(_ value: String) -> [UInt8] {
            var out: [UInt8] = []
            appendJSONString(value, to: &out)
            return out
        }
        func number(_ value: Int) -> [UInt8] { Array("\(value)".utf8) }
        var members: [(key: String, json: [UInt8])] = [
            ("file", text(source.file)), ("bytes", number(source.bytes)), ("sha256", text(source.sha256)),
            ("zone", text(source.zone)), ("tasks", number(tasks.count)),
        ]
        for status in [TaskStatus.pending, .assigned, .complete, .failed] {
            members.append((status.word, number(count(status))))
        }
        return .note(type: "imported", members: members)
    }

    /// The events of one task, in order: they leave it as the file has it.
    ///
    /// What failed before was never assigned in this journal, so those failures are of attempt 0; the assignment that
    /// the file still names is attempt 1.
    public static func events(of task: Task) -> [Event] {
        var events: [Event] = [.added(id: task.id, spec: task.spec, counter: task.counter)]
        let isFailed = task.status == .failed
        for number in 1...max(1, task.retries) where number <= task.retries {
            let isLast = number == task.retries
            if isLast && isFailed { events += assignment(of: task) }
            let attempt: UInt32 = isLast && isFailed && task.worker != nil ? 1 : 0
            var failure = Event.Failure(task: task.id, worker: nil, attempt: attempt, error: "")
            // Of earlier failures the file keeps the number alone.
            failure.error = isLast ? task.lastError : "not kept by the Python manager"
            events.append(.failed(failure))
            if !(isLast && isFailed) { events.append(.requeued(task: task.id, reason: .retry)) }
        }
        switch task.status {
        case .assigned: events += assignment(of: task)
        case .complete:
            events += assignment(of: task)
            let worker = task.worker ?? task.completedBy
            var done = Event.Completion(task: task.id, worker: worker, attempt: task.worker == nil ? 0 : 1)
            done.via = worker == nil ? "operator" : "worker"
            events.append(.completed(done))
        default: break
        }
        return events
    }

    private static func assignment(of task: Task) -> [Event] {
        guard let worker = task.worker, let since = task.since else { return [] }
        var assignment = Event.Assignment(task: task.id, worker: worker, attempt: 1)
        assignment.since = since
        return [.assigned(assignment)]
    }

    /// Calls `body` with one command after the other, within the bounds; a task's events stay together.
    public func commands(
        _ source: Source, actor: String?, _ body: (EncodedCommand) throws(JournalError) -> Void
    ) throws(JournalError) {
        var command = EncodedCommand()
        command.append { note(source).encode(actor: actor, to: &$0) }
        for task in tasks {
            var own = EncodedCommand()
            for event in Self.events(of: task) { own.append { event.encode(actor: actor, to: &$0) } }
            if command.count + own.count > Bounds.commandEvents
                || command.bytes.count + own.bytes.count > Bounds.commandBytes
            {
                try body(command)
                command.removeAll()
            }
            for index in 0..<own.count { command.append { $0 += own.bytes[own.range(index)] } }
        }
        try body(command)
    }
}
