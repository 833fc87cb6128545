import EventLog
import Logging
import Synchronization

/// Reads the whole journal once after a start, as `manager verify` does: a start itself looks only at what it needs.
///
/// On a thread of its own that works a fifth of the time. Nothing is stopped by what it finds: the damage is in history that
/// stands as it did before; it is told, and counted on `/metrics`.
final class HistoryCheck: Sendable {
    /// What has come of it.
    enum Outcome: Sendable, Equatable {
        /// It still reads.
        case running
        /// So many places are not what was written; 0: all is well.
        case done(damages: Int)

        /// A sentence of the damage that was found; nil where there is none, and while it reads.
        var damage: String? {
            guard case .done(let damages) = self, damages > 0 else { return nil }
            return "the journal is damaged in \(damages) \(damages == 1 ? "place" : "places"): 'manager verify' lists "
                + "\(damages == 1 ? "it" : "them"), and 'manager repair' mends what can be, with the manager stopped"
        }
    }

    /// The most damages that are told one by one.
    private static let mostTold = 20

    private let journal: JournalDirectory
    private let logger: Logger
    private let gate = DispatchGate()
    private let isClosing = Mutex(false)
    private let state = Mutex(Outcome.running)

    /// Begins at once.
    init(_ data: DataDirectory, logger: Logger) {
        journal = data.journal
        self.logger = logger
        startThread(named: "history-check") { [self] in run() }
    }

    /// What has come of it so far.
    var outcome: Outcome { state.withLock { $0 } }

    /// Ends it, finished or not.
    func close() {
        isClosing.withLock { $0 = true }
        gate.open()
    }

    private var isClosed: Bool { isClosing.withLock { $0 } }

    private func run() {
        var damage: [JournalDamage] = []
        do throws(JournalError) {
            // Where history is discarded meanwhile, what went would look missing.
            while true {
                let begins = try journal.historyBegins()
                damage = try verify()
                if isClosed { return }
                if try journal.historyBegins() == begins { break }
            }
        } catch {
            if !isClosed { logger.warning("the journal could not be checked: \(error)") }
            return
        }
        for place in damage.prefix(Self.mostTold) { logger.error("\(place)") }
        if damage.count > Self.mostTold {
            logger.error("… and \(damage.count - Self.mostTold) more damages: 'manager verify' lists them")
        }
        state.withLock { $0 = .done(damages: damage.count) }
    }

    private func verify() throws(JournalError) -> [JournalDamage] {
        var began = ContinuousClock.now
        return try Verifier(journal).run(judgingEnd: false) {
            gate.wait(for: min((ContinuousClock.now - began) * 4, .seconds(1)))
            began = .now
            return !isClosed
        }.damage
    }
}
