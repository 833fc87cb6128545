import Glibc
import Projections

/// The record of a program that runs: who it is beyond its pid, which may come to mean another process.
struct RunningChild: Sendable, Equatable {
    /// The process, which leads a group of its own.
    let pid: Int32
    /// Its start, in clock ticks from the machine's; nil where it was gone before it could be looked at.
    let startTicks: UInt64?
    /// The machine's start that both belong to.
    let bootID: String
    /// The worker that runs it.
    let worker: String
    /// Its task and attempt.
    let reference: AttemptReference

    /// Describes a child of ours that runs (or has ended and is not reaped yet).
    init(pid: Int32, worker: String, reference: AttemptReference, in outbox: Outbox) {
        self.pid = pid
        self.worker = worker
        self.reference = reference
        bootID = outbox.bootID
        startTicks = outbox.processes.entry(pid)?.startTicks
    }

    /// The record as a file holds it.
    var json: [UInt8] {
        var text = JSONLine()
        text.add("task", reference.task)
        text.add("attempt", raw: String(reference.attempt))
        text.add("worker", worker)
        text.add("pid", raw: String(pid))
        if let startTicks { text.add("start_ticks", raw: String(startTicks)) }
        text.add("boot_id", bootID)
        return text.bytes
    }

    /// Reads a record. Throws where it is none.
    init(json bytes: [UInt8]) throws(JSONError) {
        let object = try StrictJSON(object: bytes)
        reference = try object.attemptReference()
        worker = try object.text("worker")
        pid = try object.number("pid")
        startTicks = object["start_ticks"] == nil ? nil : try object.number("start_ticks")
        bootID = try object.text("boot_id")
    }
}

/// The end of an attempt that the manager has not (durably) taken yet.
struct KeptOutcome: Sendable, Equatable {
    /// The worker that ran it.
    var worker: String
    /// Its task and attempt.
    var reference: AttemptReference
    /// What it came to.
    var outcome: ProgramOutcome
    /// Where it comes from.
    var report: RunReport

    /// Puts an outcome together.
    init(worker: String, reference: AttemptReference, outcome: ProgramOutcome, report: RunReport) {
        self.worker = worker
        self.reference = reference
        self.outcome = outcome
        self.report = report
    }

    /// The outcome as a file holds it.
    var json: [UInt8] {
        var text = JSONLine()
        text.add("task", reference.task)
        text.add("attempt", raw: String(reference.attempt))
        text.add("worker", worker)
        switch outcome {
        case .complete(let result):
            text.add("outcome", "complete")
            if let result { text.add("result", raw: String(decoding: result, as: UTF8.self)) }
        case .failed(let error):
            text.add("outcome", "failed")
            text.add("error", error)
        case .returned: text.add("outcome", "returned")
        }
        text.add("host", report.host)
        if let program = report.program { text.add("program", program) }
        if let exitCode = report.exitCode { text.add("exit_code", raw: String(exitCode)) }
        if let signal = report.signal { text.add("signal", raw: String(signal)) }
        text.add("duration_s", raw: String(report.durationSeconds))
        if let bytes = report.maxRSSBytes { text.add("max_rss_bytes", raw: String(bytes)) }
        return text.bytes
    }

    /// Reads an outcome. Throws where it is none.
    init(json bytes: [UInt8]) throws(JSONError) {
        let object = try StrictJSON(object: bytes)
        reference = try object.attemptReference()
        worker = try object.text("worker")
        switch try object.text("outcome") {
        case "complete": outcome = .complete(result: object["result"])
        case "failed": outcome = .failed(error: try object.text("error"))
        case "returned": outcome = .returned
        case let other: throw JSONError("no such outcome: \(other)", offset: 0)
        }
        report = RunReport(
            host: try object.text("host"),
            program: object["program"] == nil ? nil : try object.text("program"),
            exitCode: object["exit_code"] == nil ? nil : try object.number("exit_code"),
            signal: object["signal"] == nil ? nil : try object.number("signal"),
            durationSeconds: try object.number("duration_s"),
            maxRSSBytes: object["max_rss_bytes"] == nil ? nil : try object.number("max_rss_bytes"))
    }
}

/// One JSON object on one line, member by member.
private struct JSONLine {
    private var body: [UInt8] = []

    var bytes: [UInt8] { [UInt8(ascii: "{")] + body + Array("}\n".utf8) }

    mutating func add(_ name: String, _ text: String) {
        add(name, raw: String(decoding: StrictJSON.quoted(text), as: UTF8.self))
    }

    mutating func add(_ name: String, raw json: String) {
        if !body.isEmpty { body.append(UInt8(ascii: ",")) }
        body += StrictJSON.quoted(name) + [UInt8(ascii: ":")] + Array(json.utf8)
    }
}

extension StrictJSON {
    fileprivate func text(_ name: String) throws(JSONError) -> String {
        guard let value = self[name], value.first == UInt8(ascii: "\"") else {
            throw JSONError("a text \"\(name)\" is missing", offset: 0)
        }
        return Self.text(of: value)
    }

    fileprivate func number<Number: LosslessStringConvertible>(_ name: String) throws(JSONError) -> Number {
        guard let value = self[name], let number = Number(String(decoding: value, as: UTF8.self)) else {
            throw JSONError("a number \"\(name)\" is missing", offset: 0)
        }
        return number
    }

    fileprivate func attemptReference() throws(JSONError) -> AttemptReference {
        AttemptReference(task: try text("task"), attempt: try number("attempt"))
    }
}
