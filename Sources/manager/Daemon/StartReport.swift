import EventLog
import Glibc
import Projections

/// The lines that a start prints on standard output.
enum StartReport {
    /// The most lines of one kind.
    private static let most = 20

    /// Prints a line and lets it out at once, also into a pipe.
    static func say(_ line: String) {
        print(line)
        fflush(nil)
    }

    /// At most 20 lines, then how many more.
    static func list(_ lines: [String]) {
        for line in lines.prefix(most) { say(line) }
        if lines.count > most { say("… and \(lines.count - most) more") }
    }

    /// Hours with one decimal.
    static func hours(_ seconds: Double) -> String { ManagerState.oneDecimal(max(0, seconds) / 3600) }
}
