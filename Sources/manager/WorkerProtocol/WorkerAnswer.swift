import EventLog
import Projections

/// The answers of the workers' protocol, as bytes without a newline.
enum WorkerAnswer {
    static let acknowledged = Array(#"{"type":"ack"}"#.utf8)
    static let noTask = Array(#"{"type":"no_task"}"#.utf8)

    static func error(_ text: String) -> [UInt8] {
        var out = Array(#"{"type":"error","error":"#.utf8)
        appendJSONString(text, to: &out)
        out.append(125)
        return out
    }

    /// The old form's task, or with `attempt` the fast form's.
    static func task(_ task: ManagerState.ClaimedTask, withAttempt: Bool) -> [UInt8] {
        var out = Array(#"{"type":"task","task":"#.utf8)
        if withAttempt {
            appendTask(task, to: &out)
        } else {
            appendCore(task, to: &out)
            out.append(125)
        }
        out.append(125)
        return out
    }

    /// `isQuarantined`: there is none because this worker has failed too often in a row.
    static func tasks(_ tasks: [ManagerState.ClaimedTask], isQuarantined: Bool = false) -> [UInt8] {
        var out = Array(#"{"type":"tasks","tasks":["#.utf8)
        for (index, task) in tasks.enumerated() {
            if index > 0 { out.append(44) }
            appendTask(task, to: &out)
        }
        out.append(contentsOf: (isQuarantined ? #"],"quarantined":true}"# : "]}").utf8)
        return out
    }

    static func added(_ added: CommandProcessor.Added) -> [UInt8] {
        Array(#"{"type":"added","added":\#(added.added),"existing":\#(added.existing)}"#.utf8)
    }

    static func status(_ state: ManagerState) -> [UInt8] {
        let c = state.counts
        return Array(
            (#"{"type":"status","status":{"total":\#(c.total),"pending":\#(c[.pending]),"assigned":\#(c[.assigned]),"#
                + #""complete":\#(c[.complete]),"failed":\#(c[.failed]),"progress":"\#(state.progress)"}}"#).utf8)
    }

    static func done(_ items: [[UInt8]]) -> [UInt8] {
        var out = Array(#"{"type":"done","items":["#.utf8)
        for (index, item) in items.enumerated() {
            if index > 0 { out.append(44) }
            out.append(contentsOf: item)
        }
        out.append(contentsOf: "]}".utf8)
        return out
    }

    static func item(_ task: String, _ reported: CommandProcessor.Reported) -> [UInt8] {
        if let ignored = reported.ignored { return item(task, ignored) }
        return item(
            task,
            reported.isDuplicate ? #","duplicate":true"# : #","ok":true"# + (reported.isLate ? #","late":true"# : ""))
    }

    static func item(_ task: String, _ refused: Rejection) -> [UInt8] {
        var error: [UInt8] = []
        appendJSONString(refused.detail, to: &error)
        let unclaimed = refused.isUnclaimedLoss ? #","unclaimed":true"# : ""
        return item(
            task, #","error":\#(String(decoding: error, as: UTF8.self)),"status":\#(refused.status)"# + unclaimed)
    }

    static func heartbeat(_ task: String, _ answer: Result<Bool, Rejection>) -> [UInt8] {
        switch answer {
        case .success(let cancel): item(task, #","ok":true"# + (cancel ? #","cancel":true"# : ""))
        case .failure(let refused): item(task, refused)
        }
    }

    private static func item(_ task: String, _ rest: String) -> [UInt8] {
        var out = Array(#"{"task_id":"#.utf8)
        appendJSONString(task, to: &out)
        out.append(contentsOf: rest.utf8)
        out.append(125)
        return out
    }

    private static func appendCore(_ task: ManagerState.ClaimedTask, to out: inout [UInt8]) {
        out.append(contentsOf: #"{"task_id":"#.utf8)
        appendJSONString(task.id, to: &out)
        out.append(contentsOf: #","phase":"#.utf8)
        appendJSONString(task.phase, to: &out)
        out.append(contentsOf: #","config":"#.utf8)
        out.append(contentsOf: task.config)
        out.append(contentsOf: #","seed":"#.utf8)
        out.append(contentsOf: task.seed)
        out.append(contentsOf: #","output_dir":"#.utf8)
        appendJSONString(task.outputDirectories.first ?? "", to: &out)
    }

    /// A claimed task with all its members.
    static func appendTask(_ task: ManagerState.ClaimedTask, to out: inout [UInt8]) {
        appendCore(task, to: &out)
        out.append(contentsOf: #","output_dirs":"#.utf8)
        appendJSONStrings(task.outputDirectories, to: &out)
        out.append(contentsOf: #","attempt":\#(task.attempt)"#.utf8)
        if let timeout = task.timeoutSeconds {
            out.append(contentsOf: #","timeout_s":"#.utf8)
            appendJSONNumber(timeout, to: &out)
        }
        if let command = task.command {
            out.append(contentsOf: #","command":"#.utf8)
            appendJSONStrings(command, to: &out)
        }
        if !task.environment.isEmpty {
            out.append(contentsOf: #","env":{"#.utf8)
            for (index, variable) in task.environment.enumerated() {
                if index > 0 { out.append(44) }
                appendJSONString(variable.name, to: &out)
                out.append(58)
                appendJSONString(variable.value, to: &out)
            }
            out.append(125)
        }
        if let directory = task.workingDirectory {
            out.append(contentsOf: #","cwd":"#.utf8)
            appendJSONString(directory, to: &out)
        }
        out.append(125)
    }
}
