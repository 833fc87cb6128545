import ArgumentParser
import EventLog
import Foundation
import Logging
import Projections

/// `--data-dir`, the same for every verb.
struct DataOptions: ParsableArguments {
    @Option(name: .customLong("data-dir"), help: "The data directory (MANAGER_DATA_DIR; default: the current one).")
    var directory: String?

    /// The directory's paths.
    var data: DataDirectory {
        DataDirectory(directory ?? ProcessInfo.processInfo.environment["MANAGER_DATA_DIR"] ?? ".")
    }

    /// The directory, which must be there.
    func existing() throws -> DataDirectory {
        let data = data
        guard let found = try data.fileSystem.metadata(data.path) else {
            throw VerbFailure("there is no directory '\(data.path)': name one with --data-dir", status: 1)
        }
        guard found.isDirectory else {
            throw VerbFailure("\(data.path) is no directory: --data-dir names the one that holds journal/", status: 1)
        }
        return data
    }

    /// The directory, where a state file of ours has its journal beside it: without, what a journal would tell is not
    /// empty but unknown, and nothing may be written over it.
    func withJournal() throws -> DataDirectory {
        let data = try existing()
        guard try data.journal.segments().isEmpty, try data.fileSystem.metadata(data.stateFile) != nil else {
            return data
        }
        guard StateDecoder.isOwn(try readWholeFile(data.stateFile, on: data.fileSystem)) else { return data }
        throw StartFailure.missingJournal(data)
    }
}

/// The moment that a reading verb looks at.
struct MomentOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: "As of this time: ISO 8601 (without zone: UTC), now, or -90m.")
    var at: String?

    @Option(help: "As of exactly this event.")
    var seq: String?

    /// True where no moment was named.
    var isNow: Bool { at == nil && seq == nil }

    /// The moment that is asked for; `now` where none is.
    func moment() throws -> Moment {
        do { return try MomentText.moment(at: at, seq: seq) } catch { throw ValidationError("\(error)") }
    }

    /// Whether a moment was named.
    var isGiven: Bool { at != nil || seq != nil }
}

/// Why a verb ends, with its exit status.
struct VerbFailure: Error {
    let text: String
    let status: Int32
    /// True where nobody answered: the same may succeed later.
    var isUnreachable = false

    init(_ text: String, status: Int32) {
        self.text = text
        self.status = status
    }
}

/// Where verbs write, and how they end.
enum Terminal {
    /// Writes bytes to standard output, all of them; a closed pipe ends the program quietly.
    static func write(_ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes { Foundation.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                exit(errno == EPIPE ? 0 : 1)
            }
            done += count
        }
    }

    /// Writes a line to standard error.
    static func complain(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

    /// Runs a verb's body: failures become a sentence on standard error and the contract's exit status.
    static func ending(_ body: () async throws -> Void) async throws {
        do { try await body() } catch let failure as VerbFailure {
            complain("manager: \(failure.text)")
            throw ExitCode(failure.status)
        } catch let failure as StartFailure {
            complain("manager: \(failure)")
            throw ExitCode(failure.exitStatus)
        } catch let error as JournalError {
            let failure = StartFailure(error)
            complain("manager: \(failure)")
            throw ExitCode(failure.exitStatus)
        } catch let error as FileError {
            complain("manager: \(error)")
            throw ExitCode(1)
        } catch let error as SweepError {
            complain("manager: \(error)")
            throw ExitCode(1)
        } catch let error as Rejection {
            complain("manager: \(error)")
            throw ExitCode(1)
        } catch let error as JSONError {
            complain("manager: \(error)")
            throw ExitCode(1)
        }
    }

    /// True when standard output is a terminal whose colours are wanted.
    static var hasColours: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    }

    /// The log of a verb that stays: to standard error.
    static func logger() -> Logger {
        LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
        return Logger(label: "manager")
    }

    /// What is said of a moment beyond the journal's end.
    static func beyondWords(_ last: LogPosition) -> String {
        "the moment lies beyond the journal's end; this is the newest state (seq \(last))"
    }

    /// Warns that a moment lies beyond the journal's end, or behind events that are missing, where it does.
    static func warn(_ isBeyondEnd: Bool, _ gaps: [GapLine], _ last: LogPosition) {
        warnBeyond(isBeyondEnd, last)
        for gap in gaps {
            complain(
                "manager: seq \(gap.first) to \(gap.last) are missing in the journal (kept in journal/\(gap.file)): this "
                    + "state is made from what is left")
        }
    }

    /// Warns that a moment lies beyond the journal's end, where it does, for verbs that read events. Throws `.discarded` for
    /// one in history that is gone.
    static func warnBeyond(_ moment: Moment, _ reader: MomentReader) throws(JournalError) {
        if let last = try reader.endBefore(moment) { warnBeyond(true, last) }
    }

    /// Warns that a moment lies beyond the journal's end, where it does.
    static func warnBeyond(_ isBeyondEnd: Bool, _ last: LogPosition) {
        guard isBeyondEnd else { return }
        complain("manager: \(beyondWords(last))")
    }
}
