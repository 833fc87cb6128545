import Testing

@testable import manager

@Suite struct WorkerOutcomeTests {
    private func judge(
        _ ending: ProgramOutcome.Ending, stopped: StopReason? = nil, stderr: String = "",
        result: ProgramOutcome.ResultFile = .absent
    ) -> ProgramOutcome? {
        var tail = OutputTail(capacityBytes: 4096)
        tail.append(stderr.utf8)
        return ProgramOutcome.judge(
            ending, stopped: stopped, timeoutSeconds: 60, errorTail: tail, resultFile: { result })
    }

    @Test func `status 0 completes, with the result that stands in the file`() {
        #expect(judge(.exited(0)) == .complete(result: nil))
        #expect(
            judge(.exited(0), result: .content(Array("{ \"acc\": 0.50 }\n".utf8)))
                == .complete(result: Array(#"{"acc":0.50}"#.utf8)))
    }

    @Test(arguments: ["", "[1]", "{\"a\":1", "{\"a\":1,\"a\":2}", "{\"a\":NaN}"])
    func `status 0 with a result that is no object fails`(text: String) throws {
        guard case .failed(let error) = judge(.exited(0), result: .content(Array(text.utf8))) else {
            Issue.record("it did not fail")
            return
        }
        #expect(error.hasPrefix("the result file holds no JSON object (exit status 0): "))
        #expect(error.contains(" at byte "), "\(error)")
    }

    @Test func `a result over 1 MiB fails, one of 1 MiB does not`() {
        func result(_ bytes: Int) -> ProgramOutcome.ResultFile {
            .content(Array("{\"a\":\"\(String(repeating: "x", count: bytes - 8))\"}".utf8))
        }
        #expect(judge(.exited(0), result: result(1 << 20)) != nil)
        guard case .complete = judge(.exited(0), result: result(1 << 20)) else {
            Issue.record("1 MiB was refused")
            return
        }
        guard case .failed(let error) = judge(.exited(0), result: result((1 << 20) + 1)) else {
            Issue.record("more than 1 MiB was taken")
            return
        }
        #expect(error.hasPrefix("the result has 1048577 bytes, at most 1048576 are taken"))
    }

    @Test func `status 75 gives the task back`() { #expect(judge(.exited(75)) == .returned) }

    @Test func `any other status, or a signal, fails with the end of standard error`() {
        #expect(judge(.exited(3), stderr: "boom\n") == .failed(error: "exit status 3: boom"))
        #expect(judge(.exited(1)) == .failed(error: "exit status 1"))
        #expect(judge(.signalled(9), stderr: "x") == .failed(error: "killed by signal 9 (SIGKILL): x"))
        #expect(judge(.signalled(50)) == .failed(error: "killed by signal 50"))
    }

    @Test func `a program that was stopped has not done its work, whatever its status`() {
        #expect(judge(.exited(0), stopped: .superseded) == nil)
        #expect(judge(.exited(0), stopped: .drained) == .returned)
        #expect(judge(.exited(0), stopped: .timedOut, stderr: "bye") == .failed(error: "timed out after 60 s: bye"))
    }

    @Test func `an error has at most 4 KiB, and its end is kept in whole characters`() {
        let text = String(repeating: "ä€😀 line\n", count: 2000) + "ValueError: the end"
        guard case .failed(let error) = judge(.exited(1), stderr: text) else {
            Issue.record("it did not fail")
            return
        }
        #expect(error.utf8.count <= 4096 && error.utf8.count > 4080)
        #expect(error.hasPrefix("exit status 1: …"))
        #expect(error.hasSuffix("ValueError: the end"))
        #expect(!error.contains("\u{FFFD}"))
    }

    @Test func `bytes that are no text are replaced, within the bound`() {
        var tail = OutputTail(capacityBytes: 4096)
        for _ in 0..<10 { tail.append([UInt8](repeating: 0xFF, count: 5000)) }
        #expect(tail.message("exit status 1", maximumBytes: 4096).utf8.count <= 4096)
    }

    @Test func `a tail is the same however the stream came in pieces`() {
        let bytes = (0..<50_000).map { UInt8(97 + $0 % 26) }
        var whole = OutputTail(capacityBytes: 4096)
        whole.append(bytes)
        for size in [1, 7, 4095, 4096, 4097, 20_000] {
            var pieces = OutputTail(capacityBytes: 4096)
            for start in stride(from: 0, to: bytes.count, by: size) {
                pieces.append(bytes[start..<min(start + size, bytes.count)])
            }
            #expect(pieces.message("e", maximumBytes: 4096) == whole.message("e", maximumBytes: 4096))
        }
    }

    @Test func `waits double up to the longest and are shortened by at most a half`() {
        let backoff = Backoff(first: .milliseconds(200), longest: .seconds(30))
        #expect(
            (1...5).map { backoff.delay(afterFailures: $0, jitter: 0) }
                == [
                    .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600),
                    .milliseconds(3200),
                ])
        #expect(backoff.delay(afterFailures: 1000, jitter: 0) == .seconds(30))
        #expect(backoff.delay(afterFailures: 1, jitter: 1) == .milliseconds(100))
    }
}

@Suite struct WorkerEndingPlanTests {
    private var plan = EndingPlan(timeout: .seconds(60), grace: .seconds(10))

    private mutating func step(
        _ seconds: Double, ended: Bool = false, empty: Bool = false, stop: StopReason? = nil
    ) -> EndingPlan.GroupSignal? {
        plan.step(now: .seconds(seconds), programEnded: ended, groupIsEmpty: { empty }, stop: stop)
    }

    @Test mutating func `a program that ends by itself with nothing left is over at once`() {
        #expect(step(1) == nil)
        #expect(plan.nextDeadline == .seconds(60))
        #expect(step(2, ended: true, empty: true) == nil)
        #expect(plan.isOver && plan.stopReason == nil)
    }

    @Test mutating func `a stop sends SIGTERM once, and SIGKILL ten seconds later`() {
        #expect(step(1, stop: .drained) == .terminate)
        #expect(step(2, stop: .drained) == nil)
        #expect(plan.nextDeadline == .seconds(11))
        #expect(step(11, stop: .drained) == .kill)
        #expect(step(11.1, ended: true, empty: true) == nil)
        #expect(plan.isOver && plan.stopReason == .drained)
    }

    @Test mutating func `time over is a stop`() {
        #expect(step(59.9) == nil)
        #expect(step(60) == .terminate)
        #expect(plan.stopReason == .timedOut)
    }

    @Test mutating func `a grandchild that ignores SIGTERM is killed after its parent has ended`() {
        #expect(step(1, stop: .superseded) == .terminate)
        #expect(step(1.1, ended: true, empty: false) == nil)
        #expect(!plan.isOver)
        #expect(step(11, ended: true, empty: false) == .kill)
        #expect(step(11.1, ended: true, empty: true) == nil)
        #expect(plan.isOver)
    }

    @Test mutating func `what a program leaves running is ended, and the program's own end stands`() {
        #expect(step(5, ended: true, empty: false) == .terminate)
        #expect(step(7, ended: true, empty: false, stop: .drained) == .kill)
        #expect(step(12, ended: true, empty: false) == nil)
        #expect(plan.isOver && plan.stopReason == nil)
    }

    @Test mutating func `a program that even SIGKILL does not end is waited for`() {
        #expect(step(1, stop: .drained) == .terminate)
        #expect(step(11) == .kill)
        #expect(step(1000) == nil)
        #expect(!plan.isOver)
    }
}
