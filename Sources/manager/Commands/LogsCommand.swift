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
            moment, of the latest up to then. The log itself is the whole one: it keeps no times.

            Example: manager logs exp1_0_42 -f
            """)

    @Argument(help: "The task's id.") var task: String
    @Flag(name: .shortAndLong, help: "Follow: show what comes, until the attempt has ended.") var follow = false
    @Option(help: "The attempt (default: the latest that has a log).") var attempt: UInt32?
    @OptionGroup var dataOptions: DataOptions
    @OptionGroup var momentOptions: MomentOptions

    func validate() throws {
        if follow, momentOptions.isGiven {
            throw ValidationError("-f shows what comes; --at and --seq a moment that does not change")
        }
    }

    func run() async throws {
        try await Terminal.ending {
            let data = try dataOptions.forReading()
            let (task, wanted, follows) = (task, attempt, follow)
            let moment = try momentOptions.moment()
            try await onThread(named: "logs") {
                Result {
                    var log = try TaskLog(task, attempt: wanted, at: moment, in: data)
                    try log.show()
                    if follows { try log.follow() }
                }
            }.get()
        }
    }
}

/// The log of one attempt.
struct TaskLog {
    private static let chunkBytes = 256 << 10

    private let task: String
    private let attempt: UInt32
    private let file: any File
    private var offset: Int64 = 0
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
        for attempt in candidates {
            let path = "\(data.path)/\(directory)/logs/\(task).\(attempt).log"
            guard try data.fileSystem.metadata(path) != nil else { continue }
            file = try data.fileSystem.open(path, .read)
            self.task = task
            self.attempt = attempt
            return
        }
        throw VerbFailure(
            "there is no log \(directory)/logs/\(task).\(wanted ?? latest).log in \(data.path): logs stand where the worker "
                + "ran, and only programs started by 'manager run' or 'manager worker' have them", status: 1)
    }

    /// Writes what is there.
    mutating func show() throws {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = try chunk.withUnsafeMutableBytes { buffer in
                try file.read(at: offset, into: buffer)
            }
            guard count > 0 else { return }
            Terminal.write(Array(chunk[..<count]))
            offset += Int64(count)
        }
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
        return line.status == .assigned && line.attempt == attempt
    }
}
