import EventLog

extension Event {
    /// Appends the members of the event's line from `"type"` on, in the order of the journal's table, `actor` last.
    public func encode(actor: String?, to out: inout [UInt8]) {
        switch self {
        case .added(let id, let spec, let counter): Self.encodeAdded(id, spec, counter, &out)
        case .extended(let task, let directories):
            Self.open("extended", task, &out)
            Self.key("output_dirs", &out)
            appendJSONStrings(directories, to: &out)
        case .prioritised(let task, let priority):
            Self.open("prioritised", task, &out)
            Self.integer("priority", Int64(priority), &out)
        case .assigned(let assignment):
            Self.open("assigned", assignment.task, &out)
            Self.string("worker", assignment.worker, &out)
            Self.integer("attempt", Int64(assignment.attempt), &out)
            Self.integer("gpu", assignment.gpu, &out)
            Self.number("heartbeat_s", assignment.heartbeatSeconds, &out)
            Self.string("host", assignment.host, &out)
            Self.string("since", assignment.since?.description, &out)
            Self.string("claim_key", assignment.claimKey, &out)
        case .completed(let completion): Self.encode(completion, &out)
        case .failed(let failure):
            Self.open("failed", failure.task, &out)
            Self.nullableString("worker", failure.worker, &out)
            Self.integer("attempt", Int64(failure.attempt), &out)
            Self.nullableString("error", failure.error, &out)
            Self.encode(failure.provenance, &out)
        case .requeued(let task, let reason, let silence):
            Self.open("requeued", task, &out)
            Self.string("reason", reason.word, &out)
            guard let silence else { break }
            Self.number("silent_s", (silence.seconds * 10).rounded() / 10, &out)
            Self.number("limit_s", (silence.limitSeconds * 10).rounded() / 10, &out)
            Self.string("limit", silence.rule.rawValue, &out)
        case .cancelled(let task, let reason):
            Self.open("cancelled", task, &out)
            Self.string("reason", reason, &out)
        case .held(let task, let reason):
            Self.open("held", task, &out)
            Self.string("reason", reason, &out)
        case .released(let task): Self.open("released", task, &out)
        case .started(let version, let host, let pid):
            out.append(contentsOf: "\"type\":\"started\"".utf8)
            Self.string("version", version, &out)
            Self.string("host", host, &out)
            Self.integer("pid", Int64(pid), &out)
        case .stopped: out.append(contentsOf: "\"type\":\"stopped\",\"note\":true".utf8)
        case .result(let task, let worker, let attempt, let result):
            Self.open("result", task, &out)
            Self.nullableString("worker", worker, &out)
            Self.integer("attempt", Int64(attempt), &out)
            Self.raw("result", result, &out)
        case .csvRead(let read): Self.encode(read, &out)
        case .note(let type, let members):
            out.append(contentsOf: "\"type\":".utf8)
            appendJSONString(type, to: &out)
            out.append(contentsOf: ",\"note\":true".utf8)
            for member in members { Self.raw(member.key, member.json, &out) }
        }
        Self.string("actor", actor, &out)
    }

    private static func encodeAdded(_ id: String, _ spec: TaskSpec, _ counter: Int64?, _ out: inout [UInt8]) {
        open("added", id, &out)
        string("phase", spec.phase, &out)
        raw("config", spec.config, &out)
        raw("seed", spec.seed, &out)
        key("output_dirs", &out)
        appendJSONStrings(spec.outputDirectories, to: &out)
        if spec.priority != 0 { integer("priority", Int64(spec.priority), &out) }
        if spec.maxRetries != TaskSpec.defaultMaxRetries { integer("max_retries", Int64(spec.maxRetries), &out) }
        number("timeout_s", spec.timeoutSeconds, &out)
        strings("after", spec.after.isEmpty ? nil : spec.after, &out)
        strings("command", spec.command, &out)
        strings("key", spec.key, &out)
        if !spec.environment.isEmpty {
            key("env", &out)
            out.append(123)
            for (index, variable) in spec.environment.enumerated() {
                if index > 0 { out.append(44) }
                appendJSONString(variable.name, to: &out)
                out.append(58)
                appendJSONString(variable.value, to: &out)
            }
            out.append(125)
        }
        string("cwd", spec.workingDirectory, &out)
        integer("counter", counter, &out)
    }

    private static func encode(_ completion: Completion, _ out: inout [UInt8]) {
        open("completed", completion.task, &out)
        nullableString("worker", completion.worker, &out)
        integer("attempt", Int64(completion.attempt), &out)
        string("via", completion.via, &out)
        if let result = completion.result { raw("result", result, &out) }
        if completion.isLate { out.append(contentsOf: ",\"late\":true".utf8) }
        encode(completion.provenance, &out)
        guard let row = completion.row else { return }
        string("file", row.file, &out)
        integer("row", Int64(row.number), &out)
        string("row_sha256", row.sha256, &out)
    }

    private static func encode(_ read: CSVRead, _ out: inout [UInt8]) {
        out.append(contentsOf: "\"type\":\"csv_read\"".utf8)
        string("file", read.file, &out)
        integer("bytes", read.bytes, &out)
        string("sha256", read.sha256, &out)
        if read.countsByHashTo > read.bytes { integer("until", read.countsByHashTo, &out) }
        guard !read.rows.isEmpty else { return }
        key("rows", &out)
        out.append(91)
        for (index, row) in read.rows.enumerated() {
            if index > 0 { out.append(44) }
            out.append(34)
            row.appendHex(to: &out)
            out.append(34)
        }
        out.append(93)
    }

    private static func encode(_ provenance: Provenance, _ out: inout [UInt8]) {
        string("host", provenance.host, &out)
        string("program", provenance.program, &out)
        integer("exit_code", provenance.exitCode, &out)
        integer("signal", provenance.signal, &out)
        number("duration_s", provenance.durationSeconds, &out)
        integer("max_rss_bytes", provenance.maxRSSBytes, &out)
    }

    // MARK: - Members

    private static func open(_ type: StaticString, _ task: String, _ out: inout [UInt8]) {
        out.append(contentsOf: "\"type\":\"".utf8)
        out.append(contentsOf: UnsafeBufferPointer(start: type.utf8Start, count: type.utf8CodeUnitCount))
        out.append(contentsOf: "\",\"task\":".utf8)
        appendJSONString(task, to: &out)
    }

    private static func key(_ name: String, _ out: inout [UInt8]) {
        out.append(44)
        appendJSONString(name, to: &out)
        out.append(58)
    }

    private static func string(_ name: String, _ value: String?, _ out: inout [UInt8]) {
        guard let value else { return }
        key(name, &out)
        appendJSONString(value, to: &out)
    }

    private static func nullableString(_ name: String, _ value: String?, _ out: inout [UInt8]) {
        key(name, &out)
        if let value { appendJSONString(value, to: &out) } else { out.append(contentsOf: "null".utf8) }
    }

    private static func strings(_ name: String, _ values: [String]?, _ out: inout [UInt8]) {
        guard let values else { return }
        key(name, &out)
        appendJSONStrings(values, to: &out)
    }

    private static func integer(_ name: String, _ value: Int64?, _ out: inout [UInt8]) {
        guard let value else { return }
        key(name, &out)
        appendJSONInteger(value, to: &out)
    }

    private static func number(_ name: String, _ value: Double?, _ out: inout [UInt8]) {
        guard let value else { return }
        key(name, &out)
        appendJSONNumber(value, to: &out)
    }

    private static func raw(_ name: String, _ json: [UInt8], _ out: inout [UInt8]) {
        key(name, &out)
        out.append(contentsOf: json)
    }
}
