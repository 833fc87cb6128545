import EventLog
import Glibc
import Projections
import Synchronization
import TestSupport
import Testing

@testable import manager

@Suite("A full disk while the manager runs")
struct FullDiskTests {
    @Test("new work is refused, what runs can end, reads go on, and owed rows are written when there is room")
    func fills() throws {
        let disk = SimulatedDisk()
        disk.capacityBytes = 64 << 20
        let fileSystem = disk.process()
        let data = DataDirectory("/data", on: fileSystem)
        let offline = try SampleData.open(data)
        let processor = offline.processor
        func specs(_ names: [String]) -> [TaskSpec] {
            names.map {
                TaskSpec(id: $0, phase: "p", config: Array(#"{"x":1}"#.utf8), outputDirectories: ["results_p"])
            }
        }
        _ = try processor.add(specs(["a", "b"]), actor: nil)
        guard case .tasks(let claimed, _) = try processor.claim(.init(worker: "w", count: 2), actor: nil) else {
            return
        }
        #expect(claimed.count == 2)
        // Another program takes all that is left; the journal has only what it reserved.
        let other = try disk.process().open("/data/filler", .update)
        var size = Int64(64 << 20)
        while size > 0 {
            do throws(FileError) {
                _ = try other.reserve(upTo: size)
                break
            } catch { size -= 4096 }
        }
        disk.capacityBytes = 1
        let refused = #expect(throws: Rejection.self) {
            let large = (0..<4000).map { "n\($0)" }
            for start in stride(from: 0, to: 4000, by: 1000) {
                _ = try processor.add(
                    large[start..<(start + 1000)].map {
                        TaskSpec(
                            id: $0, phase: "p",
                            config: Array("{\"t\":\"\(String(repeating: "x", count: 20_000))\"}".utf8),
                            outputDirectories: ["results_p"])
                    }, actor: nil)
            }
        }
        #expect(refused?.code == .diskFull)
        #expect(processor.snapshot.status(of: "a") == .assigned, "reads go on")
        let done = try processor.complete(
            "a", by: ManagerState.Speaker(worker: "w"), result: Array(#"{"acc":1}"#.utf8), actor: nil)
        processor.writer.waitUntilDurable(done.position)
        #expect(processor.writer.durable >= done.position, "an ending has its room")
        let row = try #require(done.answer.row)
        let answered = DispatchGate()
        processor.results.write(row) { answered.open() }
        answered.wait(seconds: 30)
        #expect(!processor.results.isWritten(upTo: done.position), "the row is owed; its answer has not waited")
        disk.capacityBytes = nil
        let next = try processor.complete(
            "b", by: ManagerState.Speaker(worker: "w"), result: Array(#"{"acc":2}"#.utf8), actor: nil)
        processor.writer.waitUntilDurable(next.position)
        processor.results.write(try #require(next.answer.row)) { answered.open() }
        answered.wait(seconds: 30)
        // What was owed is tried again every few seconds.
        #expect(try eventuallyBlocking { processor.results.isWritten(upTo: next.position) })
        try offline.close()
        let text = String(decoding: disk.files["/data/final_results.csv"] ?? [], as: UTF8.self)
        #expect(text.split(separator: "\n").dropFirst().map { $0.prefix(1) } == ["a", "b"], "\(text)")
    }

    @Test(
        "a write or a sync that fails ends the writing at once, and the next start has all that was acknowledged",
        arguments: ["write", "sync"])
    func fails(operation: String) throws {
        let disk = SimulatedDisk()
        func open(_ fileSystem: SimulatedFileSystem, _ failed: FailureBox) throws -> LogWriter {
            let store = LocalJournalStore(JournalDirectory("/data/journal", on: fileSystem), segmentBytes: 1 << 20)
            let opened = try store.open(RecoveryHints())
            return LogWriter(
                store, opened: opened, segmentBytes: 1 << 20, onDurable: { _ in },
                onFailure: { error in failed.reason.withLock { $0 = "\(error)" } })
        }
        let counting = disk.process()
        let first = try open(counting, FailureBox())
        first.waitUntilDurable(first.append(sampleCommand("kept"), time: LogTime.now()).last)
        first.close()
        // The start makes as many calls again; the append is the write behind them, then the sync.
        let probe = disk.process()
        let failed = FailureBox()
        let starting = try open(probe, failed)
        let calls = probe.changingCalls
        starting.close()
        probe.kill()
        var faults = SimulatedFileSystem.Faults(seed: 7)
        faults.failures[calls + (operation == "write" ? 1 : 2)] = EIO
        let failing = try open(disk.process(faults), failed)
        failing.waitUntilDurable(failing.append(sampleCommand("in flight"), time: LogTime.now()).last)
        #expect(failing.durable == LogPosition(1))
        let reason = try #require(failed.reason.withLock { $0 })
        #expect(reason.contains(operation) && reason.contains(".jsonl"), "\(reason)")
        failing.close()
        disk.losePower(.random(3))
        let again = try open(disk.process(), failed)
        #expect(again.durable >= LogPosition(1))
        again.close()
    }

    private final class FailureBox: Sendable {
        let reason = Mutex<String?>(nil)
    }
}
