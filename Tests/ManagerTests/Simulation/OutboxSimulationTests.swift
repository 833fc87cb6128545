import EventLog
import TestSupport
import Testing

@testable import manager

@Suite("A worker's outbox under simulated crashes")
struct OutboxSimulationTests {
    /// What a worker knows of its outcomes.
    private struct Known {
        /// Kept for certain.
        var kept: Set<UInt32> = []
        /// Removed for certain.
        var forgotten: Set<UInt32> = []
        /// Asked to be removed: it may be there or not.
        var leaving: Set<UInt32> = []
    }

    private func outcome(_ attempt: UInt32) -> KeptOutcome {
        KeptOutcome(
            worker: "w", reference: AttemptReference(task: "t", attempt: attempt),
            outcome: .complete(result: Array("{\"acc\":\(attempt)}".utf8)),
            report: RunReport(host: "h", durationSeconds: 1))
    }

    /// A worker that keeps three outcomes and delivers the first.
    private func work(_ fileSystem: SimulatedFileSystem, from first: UInt32, _ known: inout Known) throws {
        do {
            let outbox = try Outbox("/worker/.outbox", on: fileSystem)
            for attempt in first..<(first + 3) {
                let kept = outcome(attempt)
                try outbox.prepare(outbox.files(of: kept.reference), config: Array("{}".utf8))
                try outbox.keep(kept)
                known.kept.insert(attempt)
                guard attempt == first else { continue }
                known.leaving.insert(attempt)
                try outbox.forget(kept.reference)
                known.forgotten.insert(attempt)
            }
        } catch { guard fileSystem.isDead else { throw error } }
        fileSystem.kill()
    }

    @Test("every call, with every kind of loss, twice: what was kept is delivered, what was forgotten never comes back")
    func everyCall() async throws {
        let whole = SimulatedDisk().process()
        var ignored = Known()
        try work(whole, from: 1, &ignored)
        #expect(whole.changingCalls > 20)
        for call in 1...whole.changingCalls {
            for loss in SimulatedDisk.Loss.kinds + [.random(UInt64(call)), .random(UInt64(call + 1000))] {
                let disk = SimulatedDisk()
                var known = Known()
                try work(disk.process(.init(deathAt: call, seed: UInt64(call))), from: 1, &known)
                // A kill leaves the cache; the power goes in or after the next run.
                if call % 2 == 0 { disk.losePower(loss) }
                try work(disk.process(.init(deathAt: 3 + call % 9, seed: UInt64(call))), from: 4, &known)
                disk.losePower(loss)
                let outbox = try Outbox("/worker/.outbox", on: disk.process())
                let recovery = try await outbox.recover()
                let found = Set(recovery.outcomes.map(\.reference.attempt))
                let place = "death in call \(call), \(loss)"
                #expect(recovery.damaged.isEmpty, "\(place)")
                #expect(found.isSuperset(of: known.kept.subtracting(known.leaving)), "\(place): \(found)")
                #expect(found.isDisjoint(with: known.forgotten), "\(place): \(found)")
                for kept in recovery.outcomes { #expect(kept == outcome(kept.reference.attempt), "\(place)") }
            }
        }
    }
}
