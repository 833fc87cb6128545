import EventLog
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("GPUs of a run", .serialized) struct GPUTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    private func run(_ points: Int) throws -> SweepRun {
        let values = (0..<points).map(String.init).joined(separator: ", ")
        return try SweepRun("p:\n  combinations:\n    - n: [\(values)]\n", in: scratch.path)
    }

    /// A worker in Python that claims the GPU as those in use do.
    private func pythonWorker(_ run: SweepRun, gpu: Int) throws -> StartedProgram {
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Fixtures/workers/gpu_lock.py").path
        return try StartedProgram(
            ["python3", script, "\(run.data)/.gpu_locks/gpu_\(gpu).lock"], outputPath: scratch.path + "/python.out")
    }

    /// Notes its GPU and the lock in the result once as many programs run at once as `$1` says.
    private static let meeting = #"""
        mkdir -p met; : > met/$MANAGER_TASK_ID
        until [ "$(ls met | wc -l)" -ge "$1" ]; do sleep 0.02; done
        printf '{"gpu":%s,"lock":%s}' "$CUDA_VISIBLE_DEVICES" "$(cat .gpu_locks/gpu_$CUDA_VISIBLE_DEVICES.lock)" \
            > "$MANAGER_RESULT_FILE"
        """#

    /// Runs until the file `go` is there; says that it runs by the file `up`.
    private static let waiting = "echo $$ > up; until [ -e go ]; do sleep 0.02; done"

    private func inData(_ run: SweepRun, _ script: String) -> String { "cd '\(run.data)' && { \(script)\n}" }

    private func release(_ run: SweepRun) throws {
        try LocalFileSystem().open(run.data + "/go", .createNew).close()
    }

    @Test func `each slot has its GPU, locked by the run, told to the program and to the journal`() throws {
        let run = try run(4)
        let manager = try run.start(
            ["--gpus", "0,1", "--workers", "4"], script: inData(run, Self.meeting), "sh", "4")
        let (status, said) = (manager.wait(), try manager.output())
        #expect(status == 0, "\(said)")
        let assigned = try run.events("assigned")
        #expect(assigned.compactMap { $0["gpu"] as? Int }.sorted() == [0, 0, 1, 1])
        #expect(
            assigned.compactMap { $0["worker"] as? String }.sorted() == ["gpu0", "gpu0-2", "gpu1", "gpu1-2"])
        let gpuOfTask = Dictionary(
            assigned.map { ($0["task"] as? String, $0["gpu"] as? Int) }, uniquingKeysWith: { first, _ in first })
        let completed = try run.events("completed")
        #expect(completed.count == 4)
        for event in completed {
            let result = try #require(event["result"] as? [String: Any])
            #expect(result["gpu"] as? Int == gpuOfTask[event["task"] as? String])
            #expect(result["lock"] as? Int == Int(manager.pid))
        }
        #expect(try run.locks().isEmpty)
    }

    @Test func `a GPU that a Python worker holds is refused by name, and nothing is begun`() throws {
        let run = try run(1)
        let worker = try pythonWorker(run, gpu: 0)
        #expect(try eventuallyBlocking { try worker.output() == "held\n" })
        let refused = try run.start(["--gpus", "0,1"], script: "true")
        #expect(refused.wait() == 1)
        let output = try refused.output()
        #expect(output.contains("manager: GPU 0 is held by process \(worker.pid) on "))
        #expect(output.contains("free: --gpus 1"))
        #expect(try run.text("journal/lock") == nil)
        #expect(try run.locks() == ["gpu_0.lock"])
        #expect(try run.text(".gpu_locks/gpu_0.lock") == "\(worker.pid)")
        try worker.closeInput()
        #expect(worker.wait() == 0)
        #expect(try run.start(["--gpus", "0,1"], script: "true").wait() == 0)
    }

    @Test func `a Python worker honours the lock of a run, and gets the GPU after it`() throws {
        let run = try run(1)
        let manager = try run.start(["--gpus", "0"], script: inData(run, Self.waiting))
        #expect(try eventuallyBlocking { try run.text("up") != nil })
        #expect(try run.text(".gpu_locks/gpu_0.lock") == "\(manager.pid)")
        let worker = try pythonWorker(run, gpu: 0)
        #expect(worker.wait() == 3)
        #expect(try worker.output() == "busy \(manager.pid)\n")
        try release(run)
        #expect(manager.wait() == 0)
        let next = try pythonWorker(run, gpu: 0)
        try next.closeInput()
        #expect(next.wait() == 0)
    }

    @Test func `a run that was killed leaves its lock, and the next run takes it over`() throws {
        let run = try run(1)
        let killed = try run.start(["--gpus", "0"], script: inData(run, Self.waiting))
        #expect(try eventuallyBlocking { try run.text("up") != nil })
        killed.end(by: SIGKILL)
        #expect(try run.text(".gpu_locks/gpu_0.lock") == "\(killed.pid)")
        try release(run)
        let next = try run.start(["--gpus", "0"], script: inData(run, Self.waiting))
        let (status, said) = (next.wait(), try next.output())
        #expect(status == 0, "\(said)")
        #expect(try run.locks().isEmpty)
    }

    @Test func `of several runs that start at once on a stale lock exactly one gets the GPU`() throws {
        let run = try run(1)
        let killed = try run.start(["--gpus", "0"], script: inData(run, Self.waiting))
        #expect(try eventuallyBlocking { try run.text("up") != nil })
        killed.end(by: SIGKILL)
        let runs = try (0..<4).map {
            try run.start(["--gpus", "0"], script: inData(run, Self.waiting), output: "run\($0).out")
        }
        // The one that works cannot end before it may; the others end by themselves.
        #expect(try eventuallyBlocking { runs.filter(\.isRunning).count == 1 })
        let winner = try #require(runs.first { $0.isRunning })
        for loser in runs where loser !== winner {
            #expect(loser.wait() == 1)
            #expect(try loser.output().contains("GPU 0"))
        }
        #expect(try run.text(".gpu_locks/gpu_0.lock") == "\(winner.pid)")
        try release(run)
        #expect(winner.wait() == 0)
        #expect(try run.locks().isEmpty)
    }

    @Test(arguments: [SIGINT, SIGTERM]) func `a run that is interrupted gives its GPUs back`(signal: Int32) throws {
        let run = try run(1)
        let manager = try run.start(["--gpus", "0,1"], script: inData(run, Self.waiting))
        #expect(try eventuallyBlocking { try run.text("up") != nil })
        #expect(try run.locks() == ["gpu_0.lock", "gpu_0.owner", "gpu_1.lock", "gpu_1.owner"])
        #expect(manager.end(by: signal) == 1)
        #expect(try run.locks().isEmpty)
        #expect(try run.events("requeued").map { $0["reason"] as? String } == ["returned"])
    }

    @Test func `a start that fails for another reason gives the GPUs back`() throws {
        let run = try run(1)
        try LocalFileSystem().createDirectories(run.data)
        let manager = try RunningManager(run.data)
        let refused = try run.start(["--gpus", "0"], script: "true")
        #expect(refused.wait() == 1)
        #expect(try refused.output().contains("\"pid\":\(manager.process.processIdentifier)"))
        #expect(try run.locks().isEmpty)
        #expect(manager.stop() == 0)
    }

    @Test func `a list of GPUs that is none is wrong usage`() throws {
        let refused = try run(1).start(["--gpus", "0,x"], script: "true")
        #expect(refused.wait() == 64)
        #expect(try refused.output().contains("'x' is no GPU number"))
    }
}
