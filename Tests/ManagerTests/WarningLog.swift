import Logging
import Synchronization

/// A log that keeps what was said at the level of a warning or above.
final class WarningLog: Sendable {
    private let said = Mutex<[String]>([])

    /// What was said, in order.
    var warnings: [String] { said.withLock { $0 } }

    /// Logs into it.
    var logger: Logger { Logger(label: "test") { [self] _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: WarningLog
        var metadata = Logger.Metadata()
        var logLevel = Logger.Level.warning

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { log.said.withLock { $0.append("\(event.message)") } }
    }
}
