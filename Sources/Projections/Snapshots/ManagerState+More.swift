import EventLog

/// The member `more` of the state file: what the fold needs besides the tasks. Written and read here.
extension ManagerState {
    func appendMore(to out: inout [UInt8]) {
        out.append(contentsOf: "{\"version\":\(StateEncoder.foldVersion),\"greatest_counter\":\(greatestCounter)".utf8)
        if let start {
            out.append(
                contentsOf: ",\"started\":{\"seq\":\(start.position),\"time_us\":\(start.time),\"version\":".utf8)
            appendJSONString(start.version, to: &out)
            out.append(contentsOf: ",\"host\":".utf8)
            appendJSONString(start.host, to: &out)
            out.append(contentsOf: ",\"pid\":\(start.pid),\"count\":\(start.count)}".utf8)
        }
        appendWorkers(&out)
        appendList("losses", losses.sorted { $0.key < $1.key }, &out) { entry, out in
            out.append(contentsOf: "[\(entry.key),\(entry.value)]".utf8)
        }
        appendList("csv", filesRead.sorted { $0.key < $1.key }, &out) { entry, out in
            out.append(contentsOf: "{\"file\":".utf8)
            appendJSONString(entry.key, to: &out)
            out.append(contentsOf: ",\"bytes\":\(entry.value.bytes),\"sha256\":".utf8)
            appendJSONString(entry.value.sha256, to: &out)
            if entry.value.countsByHashTo > 0 {
                out.append(contentsOf: ",\"until\":\(entry.value.countsByHashTo)".utf8)
            }
            out.append(125)
        }
        if rowMemory.count > 0 {
            out.append(contentsOf: ",\"csv_rows\":".utf8)
            rowMemory.append(to: &out)
        }
        appendList("reopened", reopened.sorted { $0.key < $1.key }, &out) { entry, out in
            out.append(contentsOf: "[\(entry.key),\(entry.value)]".utf8)
        }
        if let time, claimMemory.count(at: time.microseconds) > 0 {
            out.append(contentsOf: ",\"claim_keys\":".utf8)
            claimMemory.append(at: time.microseconds, to: &out)
        }
        let announced =
            counts[.assigned] == 0 ? [] : (0..<tasks.count).filter { tasks[$0].heartbeat != TaskRecord.none }
        appendList("heartbeats", announced, &out) { number, out in
            out.append(contentsOf: "[\(number),".utf8)
            appendWord(tasks[number].heartbeat, &out)
            out.append(93)
        }
        appendSpecs(&out)
        out.append(125)
    }

    private func appendWorkers(_ out: inout [UInt8]) {
        appendList("workers", Array(workers.enumerated()), &out) { entry, out in
            let (number, worker) = entry
            out.append(contentsOf: "{\"worker\":".utf8)
            workerNames.with(number) { appendJSONString($0, to: &out) }
            out.append(contentsOf: ",\"first_us\":\(worker.firstEvent),\"last_us\":\(worker.lastEvent)".utf8)
            if worker.failuresInRow > 0 {
                out.append(contentsOf: ",\"failures_in_row\":\(worker.failuresInRow)".utf8)
            }
            appendList("holding", worker.holding, &out) { $1.append(contentsOf: "\($0)".utf8) }
            appendList("runs", worker.runs.sorted { $0.phase < $1.phase }, &out) { run, out in
                let r = run.statistics
                out.append(
                    contentsOf:
                        "{\"phase\":\(run.phase),\"completed\":\(r.completed),\"failed\":\(r.failed),\"lost\":\(r.lost),\"busy_us\":\(r.busyMicroseconds)"
                        .utf8)
                if r.brought > 0 { out.append(contentsOf: ",\"brought\":\(r.brought)".utf8) }
                appendList("durations", r.durations.counts, &out) {
                    $1.append(contentsOf: "[\($0.bucket),\($0.count)]".utf8)
                }
                out.append(125)
            }
            out.append(125)
        }
    }

    /// The parts of templates that tasks do not show, by runs of tasks: `[first task, template]`.
    private func appendSpecs(_ out: inout [UInt8]) {
        var runs: [(Int, UInt32)] = []
        for number in 0..<tasks.count where runs.last?.1 != tasks[number].template {
            runs.append((number, tasks[number].template))
        }
        appendList("templates", templates, &out) { template, out in
            out.append(contentsOf: "{\"phase\":".utf8)
            phaseNames.with(Int(template.phase)) { appendJSONString($0, to: &out) }
            out.append(contentsOf: ",\"max_retries\":\(template.maxRetries)".utf8)
            for (name, word) in [
                ("timeout_s", template.timeout), ("after", template.after), ("command", template.command),
                ("key", template.key), ("env", template.environment),
            ] where word != TaskRecord.none {
                out.append(contentsOf: ",\"\(name)\":".utf8)
                appendWord(word, &out)
            }
            if template.workingDirectory != TaskRecord.none {
                out.append(contentsOf: ",\"cwd\":".utf8)
                words.with(Int(template.workingDirectory)) { appendJSONString($0, to: &out) }
            }
            out.append(125)
        }
        appendList("template_runs", runs, &out) { $1.append(contentsOf: "[\($0.0),\($0.1)]".utf8) }
    }

    private func appendList<T>(
        _ name: String, _ items: [T], _ out: inout [UInt8], _ one: (T, inout [UInt8]) -> Void
    ) {
        out.append(contentsOf: ",\"\(name)\":[".utf8)
        for (index, item) in items.enumerated() {
            if index > 0 { out.append(44) }
            one(item, &out)
        }
        out.append(93)
    }
}
