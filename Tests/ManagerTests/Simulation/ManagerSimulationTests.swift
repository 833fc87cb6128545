import TestSupport
import Testing

@testable import manager

@Suite("The manager under simulated crashes")
struct ManagerSimulationTests {
    @Test("random runs that end anywhere: journal, state, snapshots, backups, rows, reset")
    func randomManager() async {
        await Simulation.run("randomManager", share: 0.3) { seed in
            var rounds = ManagerRounds(seed: seed)
            try rounds.run()
        }
    }
}
