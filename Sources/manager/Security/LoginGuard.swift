import EventLog
import Logging
import Synchronization

/// Counts wrong tokens by address: too many different ones, and the address has to wait.
///
/// The same wrong token again counts once: a worker with an old token does not lock its neighbours out, and who guesses
/// must try different ones. Every refusal is logged with the address, at most a few a minute; never the token.
final class LoginGuard: Sendable {
    /// Different wrong tokens of one address within `window`, after which it is not listened to.
    static let mostGuesses = 10
    /// Seconds in which wrong tokens are counted, and that a blocked address waits.
    static let windowSeconds = 60.0
    private static let mostAddresses = 10_000
    private static let mostLogged = 5

    private struct Record {
        var began: ContinuousClock.Instant
        var guesses: Set<UInt64> = []
        var logged = 0
        var unlogged = 0
    }

    private let records = Mutex<[String: Record]>([:])
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant

    init(_ logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { ContinuousClock.now }) {
        self.logger = logger
        self.now = now
    }

    /// Seconds that an address still has to wait; nil where it is listened to.
    func secondsToWait(_ address: String) -> Int? {
        records.withLock { records in
            guard let record = records[address], record.guesses.count >= Self.mostGuesses else { return nil }
            let left = Self.windowSeconds - (now() - record.began).seconds
            guard left > 0 else {
                records[address] = nil
                return nil
            }
            return max(1, Int(left.rounded(.up)))
        }
    }

    /// Notes a wrong or missing token. `fingerprint`: nil where there was none, which counts nothing.
    func refused(_ address: String, _ fingerprint: UInt64?, _ why: String, via: String) {
        let line = records.withLock { records -> (unlogged: Int, isBlocked: Bool)? in
            let now = now()
            var record = records[address] ?? Record(began: now)
            if (now - record.began).seconds >= Self.windowSeconds {
                record = Record(began: now, unlogged: record.unlogged)
            }
            let before = record.guesses.count
            if let fingerprint { record.guesses.insert(fingerprint) }
            let isBlocked = before < Self.mostGuesses && record.guesses.count >= Self.mostGuesses
            if records.count >= Self.mostAddresses, records[address] == nil {
                records = records.filter { (now - $0.value.began).seconds < Self.windowSeconds }
                // Still as many: somebody has a great many addresses. Those who wait stay.
                if records.count >= Self.mostAddresses {
                    records = records.filter { $0.value.guesses.count >= Self.mostGuesses }
                    if records.count >= Self.mostAddresses { return nil }
                }
            }
            defer { records[address] = record }
            guard isBlocked || record.logged < Self.mostLogged else {
                record.unlogged += 1
                return nil
            }
            record.logged += 1
            defer { record.unlogged = 0 }
            return (record.unlogged, isBlocked)
        }
        guard let line else { return }
        var metadata: Logger.Metadata = ["peer": "\(address)", "via": "\(via)"]
        if line.unlogged > 0 { metadata["more"] = "\(line.unlogged)" }
        logger.warning("login refused: \(why)", metadata: metadata)
        if line.isBlocked {
            logger.warning(
                "\(Self.mostGuesses) different wrong tokens: this address is not listened to for a minute",
                metadata: metadata)
        }
    }
}
