/// What an attempt came to, for the manager.
enum ProgramOutcome: Sendable, Equatable {
    /// It ended well; the result is a compact JSON object, nil for none.
    case complete(result: [UInt8]?)
    /// It failed; the text says how, at most 4 KiB.
    case failed(error: String)
    /// It is to be run again elsewhere or later, without costing a retry.
    case returned

    /// The exit status by which a program asks to be run later (EX_TEMPFAIL of sysexits.h).
    static let exitForReturn: Int32 = 75
    /// The longest error that is passed on.
    static let maximumErrorBytes = 4096
    /// The longest result that is passed on, without insignificant white space.
    static let maximumResultBytes = 1 << 20

    /// How a process ended.
    enum Ending: Sendable, Equatable {
        /// By itself, with this status.
        case exited(Int32)
        /// By this signal.
        case signalled(Int32)
    }

    /// What was found where the program may have put a result.
    enum ResultFile: Sendable, Equatable {
        /// No such file.
        case absent
        /// Its content.
        case content([UInt8])
        /// Why it could not be read, as a sentence.
        case unreadable(String)
    }

    /// Judges an end. Nil: nobody is interested any more (cancelled or superseded).
    ///
    /// A program that was stopped has not done its work, whatever status it chose to exit with.
    /// `resultFile` is looked at only when the status is 0.
    static func judge(
        _ ending: Ending, stopped: StopReason?, timeoutSeconds: Double?, errorTail: OutputTail,
        resultFile: () -> ResultFile
    ) -> ProgramOutcome? {
        switch stopped {
        case .superseded: return nil
        case .drained: return .returned
        case .timedOut:
            let limit = timeoutSeconds.map { " after \(secondsText($0)) s" } ?? ""
            return failure("timed out\(limit)", errorTail)
        case nil: break
        }
        switch ending {
        case .exited(0): return judge(result: resultFile())
        case .exited(exitForReturn): return .returned
        case .exited(let status): return failure("exit status \(status)", errorTail)
        case .signalled(let signal):
            let name = signalName(signal).map { " (\($0))" } ?? ""
            return failure("killed by signal \(signal)\(name)", errorTail)
        }
    }

    private static func failure(_ head: String, _ tail: OutputTail) -> ProgramOutcome {
        .failed(error: tail.message(head, maximumBytes: maximumErrorBytes))
    }

    private static func judge(result: ResultFile) -> ProgramOutcome {
        switch result {
        case .absent: return .complete(result: nil)
        case .unreadable(let reason): return .failed(error: reason)
        case .content(let bytes):
            do {
                let object = try StrictJSON(object: bytes)
                guard object.compact.count <= maximumResultBytes else {
                    return .failed(
                        error: "the result has \(object.compact.count) bytes, at most \(maximumResultBytes) are taken: "
                            + "write large things to the output directory")
                }
                return .complete(result: object.compact)
            } catch {
                return .failed(error: "the result file holds no JSON object (exit status 0): \(error)")
            }
        }
    }

    private static func secondsText(_ seconds: Double) -> String {
        seconds == seconds.rounded() && seconds.magnitude < 1e15 ? String(Int64(seconds)) : String(seconds)
    }

    private static func signalName(_ signal: Int32) -> String? {
        // The numbers of x86-64 and AArch64 Linux.
        let names = [
            "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
            "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
            "WINCH", "IO", "PWR", "SYS",
        ]
        return signal >= 1 && Int(signal) <= names.count ? "SIG" + names[Int(signal) - 1] : nil
    }
}
