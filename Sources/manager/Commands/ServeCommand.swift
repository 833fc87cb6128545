import ArgumentParser
@preconcurrency import Dispatch
import EventLog
import Foundation
import Logging
import Projections

/// `manager serve`: the manager.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Run the manager: hand tasks to workers, keep the journal.",
        discussion: "Example: manager serve --config 'configs/*.yaml' --data-dir runs")

    @OptionGroup var dataOptions: DataOptions
    @Option(help: "Sweep files; repeatable; a pattern in quotes. Default: configs/*.yaml, where it matches.")
    var config: [String] = []
    @Option(help: "The HTTP address.") var listen = "127.0.0.1:5080"
    @Option(help: "The workers' TCP address.") var workerListen = "127.0.0.1:5000"
    @Option(help: "How often the state is saved.") var snapshotEvery = "50s"
    @Option(help: "When a silent attempt is given to another worker.") var staleAfter = "2h"
    @Option(help: "When a worker that announced heartbeats is lost; 0: never (default: after three, at least 1m).")
    var workerTimeout: String?
    @Option(help: "Attempts without heartbeats are stale after so many median runs of their phase (at least 1m).")
    var staleFactor: Double?
    @Option(help: "Failures in a row after which a worker gets no more tasks until it is released; 0: never.")
    var quarantineAfter = 0
    @Option(help: "The size at which a journal segment is sealed.") var segmentBytes = "64MiB"
    @Option(help: "Losses in a row after which a task is held; 0: never.") var poisonAfter = 5
    @Option(help: "How often the state is backed up into backups/.") var backupEvery = "10m"
    @Option(
        help:
            "How many backups are kept at most (default: all of an hour, hourly for a day, daily for a month, weekly).")
    var keepBackups: Int?
    @Option(help: "How many bytes the journal may have (default: any).") var journalBytes: String?
    @Option(help: "How long history is kept, such as 90d (default: for ever).") var keep: String?
    @Option(
        help: "What is done where --journal-bytes or --keep is exceeded: warn, discard, or archive=DIR for the oldest.")
    var whenExceeded = "warn"
    @Option(help: "How many bytes all backups may have together.") var backupBytes = "2GiB"
    @Option(help: "How often rows that others appended to result files are read.") var csvEvery = "5s"
    @Option(help: "More result files of others; repeatable; a pattern in quotes.") var results: [String] = []
    @OptionGroup(title: "Security") var doors: DoorOptions
    @OptionGroup(title: "Limits") var bounds: LimitOptions
    @Flag(help: "Start although the journal's last event lies more than a day in the future.")
    var acceptClock = false
    @Flag(help: "Read only: answer reads although the journal is damaged; nothing is written.") var degraded = false
    @Flag(help: "End when nothing can become complete any more: 0 if all tasks are complete, else 1.")
    var exitWhenDone = false

    func run() async throws {
        try await Terminal.ending {
            OpenFiles.raiseLimit()
            let data = dataOptions.data
            var options = ManagerDaemon.Options(
                data: data, http: try endpoint(listen, "--listen"),
                workers: try endpoint(workerListen, "--worker-listen"))
            do {
                options.segmentBytes = try MomentText.sizeBytes(segmentBytes, "--segment-bytes")
                options.snapshotEvery = try MomentText.duration(snapshotEvery, "--snapshot-every")
                options.silence.staleAfter = try MomentText.duration(staleAfter, "--stale-after")
                options.silence.workerTimeout = try workerTimeout.map {
                    try MomentText.duration($0, "--worker-timeout")
                }
                options.backupEvery = try MomentText.duration(backupEvery, "--backup-every")
                options.budget.mostBytes = try journalBytes.map { try MomentText.sizeBytes($0, "--journal-bytes") }
                options.budget.keepSeconds = try keep.map { try MomentText.duration($0, "--keep").seconds }
                options.backups = BackupThinning(
                    most: keepBackups, mostBytes: try MomentText.sizeBytes(backupBytes, "--backup-bytes"))
                options.csvEvery = try MomentText.duration(csvEvery, "--csv-every")
            } catch { throw ValidationError("\(error)") }
            if options.silence.staleAfter == .zero {
                throw ValidationError(
                    "--stale-after 0 would take every attempt away at once: for never, name a long time such as 36500d")
            }
            if options.csvEvery < .milliseconds(10) {
                throw ValidationError("--csv-every \(csvEvery) is less than 10ms")
            }
            guard let action = DiskBudget.Action(whenExceeded) else {
                throw ValidationError("--when-exceeded \(whenExceeded) is none of warn, discard and archive=DIR")
            }
            if case .archive(let path) = action,
                let archive = try data.fileSystem.metadata(path),
                archive.identity == (try data.fileSystem.metadata(data.path))?.identity
            {
                throw ValidationError("--when-exceeded archive=\(path) is the data directory itself: name another")
            }
            options.budget.action = action
            if poisonAfter < 0 { throw ValidationError("--poison-after \(poisonAfter) is negative") }
            if let keepBackups, keepBackups < 1 {
                throw ValidationError("--keep-backups \(keepBackups) is less than 1")
            }
            if let staleFactor, !(staleFactor >= 1 && staleFactor <= 1e6) {
                throw ValidationError("--stale-factor \(staleFactor) is not between 1 and 1000000")
            }
            if quarantineAfter < 0 { throw ValidationError("--quarantine-after \(quarantineAfter) is negative") }
            options.silence.medianFactor = staleFactor
            options.quarantineAfter = quarantineAfter
            options.poisonAfter = poisonAfter
            options.acceptsClock = acceptClock
            options.actor = CommandLineActor.name
            options.limits = try bounds.limits()
            let logger = Terminal.logger()
            let security = try doors.security(logger)
            for (endpoint, flag) in [(options.http, "--listen"), (options.workers, "--worker-listen")] {
                guard let endpoint else { continue }
                if let objection = security.objection(to: endpoint, flag: flag, isInsecure: doors.insecure) {
                    throw ValidationError(objection)
                }
            }
            options.security = security
            let accessLog = try doors.accessLog(logger)
            options.accessLog = accessLog
            let hangups = Hangups { [doors] in doors.reload(security, accessLog, logger) }
            defer { hangups.stop() }
            if degraded {
                let interrupted = Interruption()
                return try await ManagerDaemon.serveDegraded(
                    options, logger: logger, until: { interrupted.isRequested })
            }
            try data.fileSystem.createDirectories(data.path)
            options.results = results
            options.sweeps = try SweepReading.read(config, in: data, logger: logger)
            let interrupted = Interruption()
            options.isStopRequested = { interrupted.isRequested }
            let daemon = try await ManagerDaemon.start(options, logger: logger)
            let scheme = security.tls == nil ? "http" : "https"
            logger.notice(
                "HTTP on \(scheme)://\(daemon.httpAddress), workers on \(daemon.workerAddress ?? "no port")")
            await daemon.run(exitWhenDone: exitWhenDone, until: { interrupted.isRequested })
            let state = daemon.processor.snapshot
            try await daemon.stop()
            if exitWhenDone, !interrupted.isRequested, !state.isAllComplete { throw ExitCode(1) }
        }
    }

    private func endpoint(_ text: String, _ flag: String) throws -> Endpoint {
        guard let endpoint = Endpoint(text) else {
            throw ValidationError("\(flag) \(text) is no HOST:PORT, such as 127.0.0.1:5080")
        }
        return endpoint
    }
}

/// Who asks on the command line.
enum CommandLineActor {
    /// `cli:USER`.
    static var name: String { "cli:\(NSUserName())" }
}

/// Reads sweep files by their patterns.
enum SweepReading {
    static func read(_ patterns: [String], in data: DataDirectory, logger: Logger) throws -> [SweepFile] {
        let names: [String]
        do throws(SweepFileNames.Failure) {
            names = try SweepFileNames.find(patterns, in: "", on: data.fileSystem)
        } catch { throw VerbFailure(error.description, status: 1) }
        var sweeps: [SweepFile] = []
        for name in names {
            let sweep = try SweepFile(yaml: try readWholeFile(name, on: data.fileSystem), name: name)
            for warning in sweep.warnings { logger.warning("\(warning)") }
            sweeps.append(sweep)
        }
        return sweeps
    }
}

/// SIGINT and SIGTERM, noted; a second one ends at once.
final class Interruption: Sendable {
    private let count = NIOLockedBox(0)
    private let sources: [any DispatchSourceSignal]

    init() {
        let count = count
        sources = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                count.value += 1
                if count.value > 2 { _exit(130) }
            }
            source.resume()
            return source
        }
        signal(SIGPIPE, SIG_IGN)
    }

    /// True after the first signal.
    var isRequested: Bool { count.value > 0 }

    /// True after the second one.
    var isInsisted: Bool { count.value > 1 }
}
