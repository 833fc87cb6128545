import Testing

@testable import manager

@Suite("Who gets a GPU") struct GPULockDecisionTests {
    private static let us = GPULockOwner(pid: 10, host: "here", bootID: "boot", startTicks: 500, since: "now")
    private static let them = GPULockOwner(pid: 20, host: "here", bootID: "boot", startTicks: 700, since: "then")

    private static func changed(_ change: (inout GPULockOwner) -> Void) -> GPULockOwner {
        var owner = them
        change(&owner)
        return owner
    }

    private static let elsewhere = changed { $0.host = "there" }
    private static let beforeRestart = changed { $0.bootID = "earlier" }
    private static let withoutTicks = changed { $0.startTicks = nil }
    private static let oursBefore = changed {
        $0.pid = 10
        $0.startTicks = 3
    }
    private static let oursElsewhere = changed {
        $0.pid = 10
        $0.host = "there"
    }

    /// One row of the table at `GPULockDecision`.
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var guarded = false
        let content: GPULockContent
        var owner: GPULockOwner?
        var process = GPULockFacts.Process.none
        var mayWait = true
        let decision: GPULockDecision
        var testDescription: String { name }
    }

    static let rows: [Row] = [
        Row(name: "no lock", content: .absent, decision: .take),
        Row(name: "no lock, an earlier owner's line", content: .absent, owner: them, decision: .take),
        Row(name: "an empty lock may be about to be written", content: .empty, decision: .wait),
        Row(
            name: "an empty lock that stays empty", content: .empty, mayWait: false,
            decision: .takeOver(.empty)),
        Row(name: "no process id", content: .broken("x"), decision: .refuse(.broken("x"))),
        Row(name: "a pid alone, ended", content: .pid(20), decision: .takeOver(.processEnded)),
        Row(
            name: "a pid alone, alive", content: .pid(20), process: .alive(startTicks: 1),
            decision: .refuse(.held(pid: 20, owner: nil))),
        Row(
            name: "a pid alone, alive, its start hidden", content: .pid(20), process: .alive(startTicks: nil),
            decision: .refuse(.held(pid: 20, owner: nil))),
        Row(
            name: "a pid, alive, beside another one's line", content: .pid(30), owner: beforeRestart,
            process: .alive(startTicks: 1), decision: .refuse(.held(pid: 30, owner: nil))),
        Row(
            name: "a pid, ended, beside another one's line of another host", content: .pid(30), owner: elsewhere,
            decision: .takeOver(.processEnded)),
        Row(name: "an owner, ended", content: .pid(20), owner: them, decision: .takeOver(.processEnded)),
        Row(
            name: "an owner, alive", content: .pid(20), owner: them, process: .alive(startTicks: 700),
            decision: .refuse(.held(pid: 20, owner: them))),
        Row(
            name: "an owner's pid reused", content: .pid(20), owner: them, process: .alive(startTicks: 701),
            decision: .takeOver(.pidReused)),
        Row(
            name: "an owner, alive, its start hidden", content: .pid(20), owner: them,
            process: .alive(startTicks: nil), decision: .refuse(.held(pid: 20, owner: them))),
        Row(
            name: "an owner that did not know its start, alive", content: .pid(20), owner: withoutTicks,
            process: .alive(startTicks: 9), decision: .refuse(.held(pid: 20, owner: withoutTicks))),
        Row(
            name: "an owner from before the machine's restart, its pid in use again", content: .pid(20),
            owner: beforeRestart, process: .alive(startTicks: 700), decision: .takeOver(.machineRestarted)),
        Row(
            name: "another host's, whatever runs here", content: .pid(20), owner: elsewhere,
            decision: .refuse(.otherHost(elsewhere))),
        Row(
            name: "our own number without a line", content: .pid(10), process: .alive(startTicks: 500),
            decision: .takeOver(.ownNumber)),
        Row(
            name: "our own number from an earlier process", content: .pid(10), owner: oursBefore,
            process: .alive(startTicks: 500), decision: .takeOver(.ownNumber)),
        Row(
            name: "our own number on another host", content: .pid(10), owner: oursElsewhere,
            process: .alive(startTicks: 500), decision: .refuse(.otherHost(oursElsewhere))),
        Row(
            name: "guarded and held", guarded: true, content: .pid(20), owner: them,
            process: .alive(startTicks: 700), decision: .refuse(.held(pid: 20, owner: them))),
        Row(
            name: "guarded from another host", guarded: true, content: .pid(20), owner: elsewhere,
            decision: .refuse(.otherHost(elsewhere))),
        Row(name: "guarded, no lock yet", guarded: true, content: .absent, decision: .wait),
        Row(
            name: "guarded, the stale lock still there", guarded: true, content: .pid(20), owner: them,
            decision: .wait),
        Row(
            name: "guarded, another's line while it is written", guarded: true, content: .pid(30), owner: them,
            process: .alive(startTicks: 1), decision: .wait),
        Row(
            name: "guarded for long without a claim", guarded: true, content: .absent, mayWait: false,
            decision: .refuse(.contended)),
        Row(
            name: "guarded, broken", guarded: true, content: .broken("x"), mayWait: false,
            decision: .refuse(.contended)),
    ]

    @Test(arguments: rows) func `each row of the table`(row: Row) {
        let facts = GPULockFacts(
            content: row.content, owner: row.owner, isGuardedByAnother: row.guarded, process: row.process,
            mayWait: row.mayWait, asker: Self.us)
        #expect(GPULockDecision.decide(facts) == row.decision)
    }

    @Test(arguments: [
        ("123", GPULockContent.pid(123)), (" 123\n", .pid(123)), ("2147483647", .pid(.max)), ("", .empty),
        ("\n", .empty), ("\0\0\0", .empty), ("2147483648", .broken("2147483648")), ("0", .broken("0")),
        ("-5", .broken("-5")), ("12 34", .broken("12 34")), ("gpu", .broken("gpu")), ("１２", .broken("１２")),
        (String(repeating: "1", count: 80), .broken(String(repeating: "1", count: 40))),
    ]) func `what a lock file may hold`(text: String, content: GPULockContent) {
        #expect(GPULockContent(Array(text.utf8.prefix(GPULockContent.lookedAtBytes))) == content)
    }

    @Test func `an owner's line is read as it was written, and nothing else is taken for one`() {
        for owner in [Self.us, Self.withoutTicks, Self.changed { $0.host = "a\"b\nä" }] {
            #expect(GPULockOwner(json: owner.json) == owner)
        }
        for text in ["", "20", "{}", #"{"pid":0,"host":"h"}"#, #"{"pid":20}"#, #"{"pid":20,"host":"h""#] {
            #expect(GPULockOwner(json: Array(text.utf8)) == nil)
        }
    }

    @Test func `slots are spread over the GPUs in turn`() throws {
        func names(_ workers: Int?, _ gpus: String?) throws -> [String] {
            try WorkerSlots(workers: workers, gpus: gpus).slots.map { "\($0.name):\($0.gpu.map(String.init) ?? "-")" }
        }
        #expect(try names(nil, nil) == ["local0:-"])
        #expect(try names(2, nil) == ["local0:-", "local1:-"])
        #expect(try names(nil, "0,1") == ["gpu0:0", "gpu1:1"])
        #expect(try names(nil, "3, 3,1") == ["gpu3:3", "gpu3-2:3", "gpu1:1"])
        #expect(try names(5, "2,0") == ["gpu2:2", "gpu0:0", "gpu2-2:2", "gpu0-2:0", "gpu2-3:2"])
        #expect(try WorkerSlots(workers: 3, gpus: "1,1,0").gpus == [1, 0])
        let few = try WorkerSlots(workers: 1, gpus: "1,0")
        #expect(few.gpus == [1] && few.idleGPUs == [0])
    }

    private static let senseless: [(workers: Int?, gpus: String?)] = [
        (0, nil), (1025, nil), (nil, ""), (nil, "0,"), (nil, "a"), (nil, "-1"), (nil, "1024"), (0, "1"),
    ]

    @Test(arguments: senseless) func `flags that make no sense are refused with a sentence`(
        workers: Int?, gpus: String?
    ) {
        let fault = #expect(throws: WorkerSlots.Fault.self) { try WorkerSlots(workers: workers, gpus: gpus) }
        #expect(fault?.description.contains(gpus == nil || workers == 0 ? "--workers" : "--gpus") == true)
    }
}
