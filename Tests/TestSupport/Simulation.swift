import Foundation
import Synchronization
import Testing

/// What a simulated crash showed that must not be.
public struct SimulationFailure: Error, CustomStringConvertible {
    /// What is wrong, and what was going on.
    public let description: String

    /// Names it.
    public init(_ description: String) { self.description = description }
}

/// Runs rounds of a simulation by seed, several at once, and tells how to see a failure again.
///
/// `SIMULATE_ROUNDS`: how many rounds in all simulations together (`make simulate`); without it, a few thousand.
/// `SIMULATE_SEED`: this one round alone, with each call that changes the disk. `SIMULATE_FROM`: the first seed, else 1.
public enum Simulation {
    /// The rounds of all simulations in an ordinary run of the tests.
    public static let usualRounds = 5000

    /// True where each call is printed: a single round is replayed.
    static let tellsCalls = ProcessInfo.processInfo.environment["SIMULATE_SEED"] != nil

    /// Runs `share` (of 1) of the rounds; `name` is the test's function, for the command that replays.
    public static func run(
        _ name: String, share: Double, _ round: @escaping @Sendable (UInt64) throws -> Void
    ) async {
        let environment = ProcessInfo.processInfo.environment
        let all = environment["SIMULATE_ROUNDS"].flatMap(Int.init) ?? usualRounds
        var seeds: ClosedRange<UInt64> = 1...max(1, UInt64(Double(all) * share))
        if let first = environment["SIMULATE_FROM"].flatMap(UInt64.init) {
            seeds = first...(first + seeds.upperBound - 1)
        }
        if let only = environment["SIMULATE_SEED"].flatMap(UInt64.init) { seeds = only...only }
        let start = ContinuousClock.now
        let failures = await rounds(seeds, round)
        for failure in failures.sorted(by: { $0.seed < $1.seed }).prefix(5) {
            Issue.record(
                "seed \(failure.seed): \(failure.text)\nreplay: make simulate only=\(name) seed=\(failure.seed)")
        }
        if environment["SIMULATE_ROUNDS"] != nil {
            let seconds = start.duration(to: .now) / .seconds(1)
            print(
                "\(name): \(seeds.count) rounds, \(failures.count) failed, \(Int(Double(seeds.count) / seconds)) rounds/s"
            )
        }
    }

    private static func rounds(
        _ seeds: ClosedRange<UInt64>, _ round: @escaping @Sendable (UInt64) throws -> Void
    ) async -> [(seed: UInt64, text: String)] {
        let next = Atomic(seeds.lowerBound)
        let failures = Mutex<[(seed: UInt64, text: String)]>([])
        let threads = max(1, ProcessInfo.processInfo.activeProcessorCount)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            // Rounds block on threads of the journal's own: they must not hold the cooperative pool.
            DispatchQueue.global().async {
                DispatchQueue.concurrentPerform(iterations: threads) { _ in
                    while true {
                        let seed = next.add(1, ordering: .relaxed).oldValue
                        if seed > seeds.upperBound || failures.withLock({ $0.count }) >= 5 { return }
                        do { try round(seed) } catch {
                            failures.withLock { $0.append((seed, "\(error)")) }
                        }
                    }
                }
                continuation.resume()
            }
        }
        return failures.withLock { $0 }
    }
}
