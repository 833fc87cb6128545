import ArgumentParser
import EventLog
import Foundation
import Projections

/// `manager logs TASK`: what a task's program wrote.
struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs", abstract: "Show what a task's program wrote; follow it with -f.",
        discussion: """
            Reads <output_dir>/logs/<task>.<attempt>.log in the data directory: of the latest attempt that has one; with a
            moment, of the latest up to then. The log itself is the whole one: it keeps no times. With --url a running
            manager is asked, for the logs in its data directory; -f goes on when it was away.

            Examples:
              manager logs exp1_0_42 -f
              manager logs exp1_0_42 --tail 20 --url http://node1:5080
            """)

    @Argument(help: "The task's id.") var task: String
    @Flag(name: .shortAndLong, help: "Follow: show what comes, until the attempt has ended.") var follow = false
    @Option(help: "The attempt (default: the latest that has a log).") var attempt: UInt32?
    @Option(help: "Begin with the last so many lines (default: with the first).") var tail: Int?
    @Option(help: "Ask the manager at http://HOST:PORT instead of reading a directory.") var url: String?
    @Option(help: "Certificates to trust besides the system's, PEM (MANAGER_CA).") var ca: String?
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func validate() throws {
        if follow, momentOptions.isGiven {
            throw ValidationError("-f shows what comes; --at and --seq a moment that does not change")
        }
        if let tail, !(0...1_000_000).contains(tail) {
            throw ValidationError("--tail \(tail): 0 to 1000000 lines can be asked for")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            if let url, let manager = try NamedManager.find(url, ca: ca) {
                var log = RemoteLog(client: try ManagerClient(manager), task: task, attempt: attempt, tail: tail)
                log.moment = [("at", momentOptions.at), ("seq", momentOptions.seq)]
                return try await log.run(follows: follow)
            }
            let data = try dataOptions.forReading()
            let (task, wanted, follows, tail) = (task, attempt, follow, tail)
            let moment = try momentOptions.moment()
            try await onThread(named: "logs") {
                Result {
                    try Terminal.warnBeyond(moment, MomentReader(data))
                    var log = try TaskLog(task, attempt: wanted, at: moment, in: data)
                    if let tail { try log.log.skip(toLastLines: tail) }
                    try log.show()
                    if follows { try log.follow() }
                }
            }.get()
        }
    }
}

/// The log of one attempt, with the task that it belongs to.
struct TaskLog {
    /// Its bytes.
    var log: AttemptLog
    private let task: String
    private var fold: JournalFold

    /// Finds an attempt's log. Throws a sentence where there is none.
    init(_ task: String, attempt wanted: UInt32?, at moment: Moment, in data: DataDirectory) throws {
        fold = try JournalFold(data, at: moment)
        guard let number = fold.state.taskNumber(task), let context = fold.state.resultContext(of: task) else {
            throw VerbFailure("there is no task \(task)", status: 1)
        }
        let latest = fold.state.taskLine(number).attempt
        if let wanted, wanted == 0 || wanted > latest {
            throw VerbFailure("task \(task) has no attempt \(wanted): its latest is \(latest)", status: 1)
        }
        guard latest > 0 else { throw VerbFailure("task \(task) was never assigned: there is no log yet", status: 1) }
        let directory = context.directories.first ?? ""
        let candidates = wanted.map { [$0] } ?? Array((1...latest).reversed())
        let found = try AttemptLog(of: task, attempts: candidates, directory: directory) { path throws(FileError) in
            try data.fileSystem.open(data.path + "/" + path, .read)
        }
        guard let found else {
            throw VerbFailure(
                "there is no log \(AttemptLog.path(task, wanted ?? latest, directory)) in \(data.path): logs stand where "
                    + "the worker ran, and only programs started by 'manager run' or 'manager worker' have them",
                status: 1)
        }
        log = found
        self.task = task
    }

    /// Writes what is there.
    mutating func show() throws {
        while case let bytes = try log.next(), !bytes.isEmpty { Terminal.write(bytes) }
    }

    /// Writes what comes, until the attempt has ended and all of it was shown.
    mutating func follow() throws {
        while isRunning {
            try fold.advance(within: 0.2)
            try show()
        }
        try show()
    }

    private var isRunning: Bool {
        guard let number = fold.state.taskNumber(task) else { return false }
        let line = fold.state.taskLine(number)
        return line.status == .assigned && line.attempt == log.attempt
    }
}
