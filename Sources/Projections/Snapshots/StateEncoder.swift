import Crypto
import Dispatch
import EventLog
import Synchronization

/// Writes a state in the schema of `manager_state.json`: compact, one newline at the end, equal bytes for equal states.
public struct StateEncoder {
    private let state: ManagerState
    private var buffer: [UInt8] = []
    private let emit: ([UInt8]) throws -> Void
    private var whole = SHA256()
    private var inner = SHA256()
    private var isInner = false
    private var stateHash = ""

    /// The version of `more`: raised when the fold keeps something new, or counts something otherwise (5: durations of
    /// imported attempts). Raise `TaskIndex.magic` with it: checkpoints hold states.
    static let foldVersion: Int64 = 5

    /// The versions that can be read. Older ones than `foldVersion` give another state than the same events do now, so the
    /// journal takes their place wherever it has the events; where these are gone, as before a baseline, they are gone on
    /// from as they stand.
    static let readableVersions: ClosedRange<Int64> = 3...5

    /// Tasks that one core writes at a time.
    private static let blockTasks = 512
    /// Blocks that are written side by side.
    private let width: Int

    private init(_ state: ManagerState, width: Int, emit: @escaping ([UInt8]) throws -> Void) {
        self.state = state
        self.width = width
        self.emit = emit
    }

    /// Calls `emit` with pieces of the file, in order. Throws what `emit` throws. `cores`: how many may work on it; more
    /// than one where somebody waits and nothing else is to be done.
    public static func write(
        _ state: ManagerState, cores: Int = 1, to emit: @escaping ([UInt8]) throws -> Void
    ) throws {
        var encoder = StateEncoder(state, width: max(1, cores), emit: emit)
        try encoder.run()
    }

    /// The whole file as bytes.
    public static func bytes(_ state: ManagerState) -> [UInt8] {
        let collected = Collected()
        do { try write(state) { collected.bytes += $0 } } catch {
            preconditionFailure("collecting bytes threw \(error)")
        }
        return collected.bytes
    }

    /// The `state_hash` of a state, in hex.
    public static func stateHash(_ state: ManagerState) -> String {
        var encoder = StateEncoder(state, width: 1) { _ in }
        do { try encoder.run() } catch { preconditionFailure("hashing threw \(error)") }
        return encoder.stateHash
    }

    private final class Collected { var bytes: [UInt8] = [] }

    private mutating func run() throws {
        text("{")
        try flush()
        isInner = true
        text("\"tasks\":{")
        try flush()
        var next = 0
        while next < state.tasks.count {
            let end = min(next + width * Self.blockTasks, state.tasks.count)
            try writeTasks(next..<end)
            next = end
        }
        text("},\"assigned_tasks\":{")
        var isFirst = true
        for number in 0..<state.tasks.count where state.tasks[number].status == .assigned {
            if !isFirst { text(",") }
            isFirst = false
            state.ids.with(number) { appendJSONString($0, to: &buffer) }
            text(":")
            state.appendTask(number, to: &buffer)
        }
        text("},\"more\":")
        state.appendMore(to: &buffer)
        try flush()
        isInner = false
        appendJournal()
        try flush()
        stateHash = hexString(inner.finalize())
        text(",\"state_hash\":\"sha256:\(stateHash)\"")
        try flush()
        let checksum = hexString(whole.finalize())
        text(",\"checksum\":\"sha256:\(checksum)\"}\n")
        try flush()
    }

    /// Writes some tasks, block by block side by side.
    private mutating func writeTasks(_ range: Range<Int>) throws {
        guard width > 1, range.count > Self.blockTasks else {
            Self.append(range, of: state, to: &buffer)
            return try flush()
        }
        let (state, first) = (state, range.lowerBound)
        let blocks = Mutex([[UInt8]](repeating: [], count: width))
        DispatchQueue.concurrentPerform(iterations: width) { block in
            let start = first + block * Self.blockTasks
            guard start < range.upperBound else { return }
            var bytes: [UInt8] = []
            Self.append(start..<min(start + Self.blockTasks, range.upperBound), of: state, to: &bytes)
            blocks.withLock { $0[block] = bytes }
        }
        for bytes in blocks.withLock({ $0 }) {
            buffer = bytes
            try flush()
        }
    }

    private static func append(_ range: Range<Int>, of state: ManagerState, to out: inout [UInt8]) {
        for number in range {
            if number > 0 { out.append(44) }
            state.ids.with(number) { appendJSONString($0, to: &out) }
            out.append(58)
            state.appendTask(number, to: &out)
        }
    }

    private mutating func appendJournal() {
        text(",\"journal\":{\"seq\":\(state.position),\"time\":")
        if let time = state.time {
            text("\"\(time)\",\"crc\":\"")
            buffer.append(contentsOf: hexDigits(of: state.crc))
            text("\"}")
        } else {
            text("null,\"crc\":null}")
        }
    }

    private mutating func text(_ text: String) { buffer.append(contentsOf: text.utf8) }

    private mutating func flush() throws {
        whole.update(data: buffer)
        if isInner { inner.update(data: buffer) }
        try emit(buffer)
        buffer.removeAll(keepingCapacity: true)
    }
}

extension ManagerState {
    /// Appends one task as it stands in the state file.
    public func appendTask(_ number: Int, to out: inout [UInt8]) {
        let task = tasks[number]
        let template = templates[Int(task.template)]
        out.append(contentsOf: "{\"task_id\":".utf8)
        ids.with(number) { appendJSONString($0, to: &out) }
        out.append(contentsOf: ",\"phase\":".utf8)
        phaseNames.with(Int(template.phase)) { appendJSONString($0, to: &out) }
        out.append(contentsOf: ",\"config\":".utf8)
        texts.with(task.config) { out.append(contentsOf: $0) }
        out.append(contentsOf: ",\"seed\":".utf8)
        appendWord(task.seed, &out)
        out.append(contentsOf: ",\"output_dir\":".utf8)
        let first = words.with(Int(task.outputDirectories)) { Self.strings($0).first }
        if let first { appendJSONString(first, to: &out) } else { out.append(contentsOf: "null".utf8) }
        out.append(contentsOf: ",\"output_dirs\":".utf8)
        appendWord(task.outputDirectories, &out)
        out.append(contentsOf: ",\"status\":\"".utf8)
        out.append(contentsOf: task.status.word.utf8)
        out.append(contentsOf: "\",\"assigned_to\":".utf8)
        appendWorker(task.worker, &out)
        out.append(contentsOf: ",\"assigned_at\":".utf8)
        appendTime(task.assignedAt, &out)
        out.append(contentsOf: ",\"retry_count\":".utf8)
        appendDecimal(UInt64(task.retryCount), to: &out)
        out.append(contentsOf: ",\"last_error\":".utf8)
        if task.hasError {
            texts.with(task.lastError) { appendJSONString($0, to: &out) }
        } else {
            out.append(contentsOf: "null".utf8)
        }
        out.append(contentsOf: ",\"attempt\":".utf8)
        appendDecimal(UInt64(task.attempt), to: &out)
        out.append(contentsOf: ",\"added_at\":".utf8)
        appendTime(task.addedAt, &out)
        out.append(contentsOf: ",\"finished_at\":".utf8)
        appendTime(task.finishedAt, &out)
        appendOptional(task, template, to: &out)
        out.append(125)
    }

    private func appendOptional(_ task: TaskRecord, _ template: TaskTemplate, to out: inout [UInt8]) {
        if task.priority != 0 {
            out.append(contentsOf: ",\"priority\":".utf8)
            appendJSONInteger(Int64(task.priority), to: &out)
        }
        if template.maxRetries != Int32(TaskSpec.defaultMaxRetries) {
            out.append(contentsOf: ",\"max_retries\":".utf8)
            appendJSONInteger(Int64(template.maxRetries), to: &out)
        }
        for (name, word) in [("timeout_s", template.timeout), ("after", template.after), ("command", template.command)]
        where word != TaskRecord.none {
            out.append(contentsOf: ",\"\(name)\":".utf8)
            appendWord(word, &out)
        }
        if task.reason != TaskRecord.none {
            out.append(contentsOf: ",\"reason\":".utf8)
            words.with(Int(task.reason)) { appendJSONString($0, to: &out) }
        }
        if task.endedAttempts != TaskRecord.none { appendAttempts(task, &out) }
        if task.hasResult { out.append(contentsOf: ",\"has_result\":true".utf8) }
        if task.status == .complete, task.completedBy != task.worker {
            out.append(contentsOf: ",\"completed_by\":".utf8)
            appendWorker(task.completedBy, &out)
        }
    }

    private func appendAttempts(_ task: TaskRecord, _ out: inout [UInt8]) {
        out.append(contentsOf: ",\"attempts\":[".utf8)
        for (index, ended) in endedAttempts(task).enumerated() {
            if index > 0 { out.append(44) }
            out.append(contentsOf: "{\"attempt\":".utf8)
            appendDecimal(UInt64(ended.attempt), to: &out)
            out.append(contentsOf: ",\"worker\":".utf8)
            appendWorker(ended.worker, &out)
            out.append(contentsOf: ",\"assigned_at\":".utf8)
            appendTime(ended.assignedAt, &out)
            out.append(contentsOf: ",\"ended_at\":".utf8)
            appendTime(ended.endedAt, &out)
            out.append(contentsOf: ",\"outcome\":\"".utf8)
            out.append(contentsOf: ended.outcome.word.utf8)
            out.append(contentsOf: "\"}".utf8)
        }
        out.append(93)
    }

    /// The ended attempts of a task, oldest first.
    func endedAttempts(_ task: TaskRecord) -> [EndedAttempt] {
        var list: [EndedAttempt] = []
        var next = task.endedAttempts
        while next != TaskRecord.none {
            list.append(attempts[Int(next)])
            next = attempts[Int(next)].previous
        }
        return list.reversed()
    }

    func appendWord(_ word: UInt32, _ out: inout [UInt8]) {
        words.with(Int(word)) { out.append(contentsOf: $0) }
    }

    private func appendWorker(_ worker: UInt32, _ out: inout [UInt8]) {
        if worker == TaskRecord.none {
            out.append(contentsOf: "null".utf8)
        } else {
            workerNames.with(Int(worker)) { appendJSONString($0, to: &out) }
        }
    }

    private func appendTime(_ microseconds: Int64, _ out: inout [UInt8]) {
        if microseconds == TaskRecord.never {
            out.append(contentsOf: "null".utf8)
        } else {
            out.append(34)
            LogTime(microseconds: microseconds).append(to: &out)
            out.append(34)
        }
    }
}
