import EventLog
import Projections
import Synchronization

/// What `/metrics` shows: counters and gauges, read when they are asked for. Nothing is kept for it but plain numbers.
struct MetricsPage: Sendable {
    /// Seconds without a sign after which an idle worker counts as away.
    private static let awaySeconds = 60.0
    /// The most workers that are shown, those heard of last.
    private static let mostWorkers = 1000

    private let loaded: HTTPService.Loaded?
    private let httpConnections: ConnectionCount
    private let requests: RequestCounts

    /// `loaded`: nil while the journal is replayed.
    init(_ loaded: HTTPService.Loaded?, httpConnections: ConnectionCount, requests: RequestCounts) {
        self.loaded = loaded
        self.httpConnections = httpConnections
        self.requests = requests
    }

    /// The text. Reads the journal's directory.
    func text() -> String {
        var out = MetricsText()
        out.family("manager_build_info", .gauge, "The version of the manager.")
        out.sample("manager_build_info", [("version", ManagerDaemon.version)], 1)
        out.one("manager_ready", .gauge, "1 once the journal is replayed.", loaded == nil ? 0 : 1)
        if let loaded {
            appendTasks(loaded.processor.snapshot, &out)
            appendEvents(loaded, &out)
            appendJournal(loaded, &out)
            appendSnapshots(loaded, &out)
            appendWorkers(loaded, &out)
        }
        appendConnections(&out)
        appendProcess(&out)
        return out.text
    }

    private func appendTasks(_ state: ManagerState, _ out: inout MetricsText) {
        out.family("manager_tasks", .gauge, "Tasks by phase and status.")
        for phase in state.phases {
            guard let counts = state.counts(ofPhase: phase) else { continue }
            for status in TaskStatus.allCases {
                out.sample("manager_tasks", [("phase", phase), ("status", status.word)], Double(counts[status]))
            }
        }
        out.one("manager_journal_seq", .gauge, "The last event's seq.", Double(state.position.rawValue))
    }

    private func appendEvents(_ loaded: HTTPService.Loaded, _ out: inout MetricsText) {
        let (counts, waiting) = loaded.processor.core.withLock { ($0.eventCounts, $0.waiters.count) }
        out.family("manager_events_total", .counter, "Events since the start, by type.")
        for kind in EventView.Kind.allCases {
            out.sample(
                "manager_events_total", [("type", kind == .csvRead ? "csv_read" : "\(kind)")],
                Double(counts[Int(kind.rawValue)]))
        }
        out.one("manager_claims_waiting", .gauge, "Claims that wait for a task.", Double(waiting))
        out.one("manager_followers", .gauge, "Clients that follow the events.", Double(loaded.feed.count))
    }

    private func appendJournal(_ loaded: HTTPService.Loaded, _ out: inout MetricsText) {
        let writer = loaded.processor.writer
        let measured = writer.statistics
        out.histogram(
            "manager_journal_append_seconds", "From the first event of a write until it was durable.", measured.append)
        out.histogram("manager_journal_sync_seconds", "Syncs of the journal.", measured.sync)
        out.histogram("manager_journal_batch_events", "Events of one write.", measured.events)
        out.one(
            "manager_journal_written_bytes_total", .counter, "Bytes written to the journal since the start.",
            Double(measured.bytes))
        out.one(
            "manager_journal_waiting_bytes", .gauge, "Bytes that wait to be written.", Double(writer.waitingBytes))
        out.one(
            "manager_journal_sealed_total", .counter, "Segments sealed since the start.",
            Double(writer.sealedSegments))
        if let check = loaded.historyCheck?.outcome {
            var damages: Int?
            if case .done(let count) = check { damages = count }
            out.one(
                "manager_journal_checked", .gauge, "1 once the whole journal was read and checked after the start.",
                damages == nil ? 0 : 1)
            out.one(
                "manager_journal_damages", .gauge, "Places of the journal that this check found damaged.",
                Double(damages ?? 0))
        }
        let journal = loaded.data.journal
        do {
            let names = try journal.segments()
            var bytes: Int64 = 0
            for name in names { bytes += try journal.fileSystem.metadata(journal.path(of: name))?.sizeBytes ?? 0 }
            out.one("manager_journal_segments", .gauge, "Files of the journal.", Double(names.count))
            out.one("manager_journal_bytes", .gauge, "Bytes of the journal's files.", Double(bytes))
        } catch { return }  // the disk does not answer: the numbers are missing, which tells it
    }

    private func appendSnapshots(_ loaded: HTTPService.Loaded, _ out: inout MetricsText) {
        out.one(
            "manager_load_duration_seconds", .gauge, "Loading the directory at the start: snapshot and replay.",
            loaded.loadSeconds)
        guard let newest = loaded.snapshots.newest else { return }
        out.one(
            "manager_snapshot_age_seconds", .gauge, "The age of the newest snapshot of this run.",
            max(0, LogTime.now().seconds(since: newest.at)))
        out.one("manager_snapshot_duration_seconds", .gauge, "How long it took to write.", newest.seconds)
    }

    private func appendWorkers(_ loaded: HTTPService.Loaded, _ out: inout MetricsText) {
        let heartbeats = loaded.processor.live.heartbeats
        let now = LogTime.now()
        let seen = loaded.processor.snapshot.workerSummaries.map { worker in
            (worker, last: max(worker.lastEvent, heartbeats[worker.name] ?? worker.lastEvent))
        }.sorted { $0.last > $1.last }.prefix(Self.mostWorkers)
        out.family(
            "manager_worker_up", .gauge, "1 where the worker holds a task or was heard of within a minute.")
        for (worker, last) in seen {
            let isUp = !worker.holding.isEmpty || now.seconds(since: last) < Self.awaySeconds
            out.sample("manager_worker_up", [("worker", worker.name)], isUp ? 1 : 0)
        }
        out.family("manager_worker_last_seen_timestamp_seconds", .gauge, "The worker's last sign, Unix time.")
        for (worker, last) in seen {
            out.sample(
                "manager_worker_last_seen_timestamp_seconds", [("worker", worker.name)],
                Double(last.microseconds) / 1e6)
        }
    }

    private func appendConnections(_ out: inout MetricsText) {
        out.family("manager_connections", .gauge, "Connections that are open, by port.")
        out.sample("manager_connections", [("port", "http")], Double(httpConnections.now))
        if let workers = loaded?.workerConnections {
            out.sample("manager_connections", [("port", "workers")], Double(workers.now))
        }
        out.family("manager_http_responses_total", .counter, "HTTP answers by the first digit of their status.")
        for (digit, count) in requests.now {
            out.sample("manager_http_responses_total", [("code", "\(digit)xx")], Double(count))
        }
    }

    private func appendProcess(_ out: inout MetricsText) {
        let process = ProcessReading()
        out.one("process_cpu_seconds_total", .counter, "Processor time of the manager.", process.cpuSeconds)
        out.one("process_resident_memory_bytes", .gauge, "Memory of the manager.", process.residentBytes)
        out.one("process_open_fds", .gauge, "Open descriptors of the manager.", Double(process.openFiles))
    }
}
