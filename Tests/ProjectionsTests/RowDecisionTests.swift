import EventLog
import Projections
import Testing

@Suite("What rows of others do")
struct RowDecisionTests {
    private func completion(_ verdict: ManagerState.RowVerdict) -> Event.Completion? {
        if case .completes(let completion) = verdict { completion } else { nil }
    }

    @Test("a row completes the latest attempt with its worker, whatever became of it; 0 where there was none")
    func attempts() throws {
        var given = Folding()
        try given.add("t")
        #expect(completion(given.state.decideRow(for: 0, attempt: nil))?.attempt == 0)
        _ = try given.claim("w1")
        let running = try #require(completion(given.state.decideRow(for: 0, attempt: 7)))
        #expect(running.attempt == 1 && running.worker == "w1" && !running.isLate && running.via == "csv")
        try given.fold(.requeued(task: "t", reason: .stale))
        let lost = try #require(completion(given.state.decideRow(for: 0, attempt: nil)))
        #expect(lost.attempt == 1 && lost.worker == "w1" && lost.isLate)
        _ = try given.claim("w2")
        let second = try #require(completion(given.state.decideRow(for: 0, attempt: 1)))
        #expect(second.attempt == 2 && second.worker == "w2")
    }

    @Test("complete and cancelled tasks stay so; held and failed ones become complete")
    func statuses() throws {
        var given = Folding()
        for id in ["held", "failed", "cancelled", "complete"] { try given.add(id) }
        try given.fold(
            .held(task: "held", reason: nil),
            .failed(Event.Failure(task: "failed", worker: nil, attempt: 0, error: "e")),
            .cancelled(task: "cancelled", reason: nil),
            .completed(Event.Completion(task: "complete", worker: nil, attempt: 0)))
        #expect(completion(given.state.decideRow(for: 0, attempt: nil)) != nil)
        #expect(completion(given.state.decideRow(for: 1, attempt: nil)) != nil)
        #expect(given.state.decideRow(for: 2, attempt: nil) == .isCancelled)
        #expect(given.state.decideRow(for: 3, attempt: nil) == .isComplete)
    }

    @Test("an attempt of before the task was opened again is closed for rows, for good", arguments: [false, true])
    func reopened(cancelled: Bool) throws {
        var given = Folding()
        try given.add("t")
        _ = try given.claim("w1")
        if cancelled {
            try given.fold(.cancelled(task: "t", reason: nil))
        } else {
            try given.fold(.completed(Event.Completion(task: "t", worker: "w1", attempt: 1)))
        }
        #expect(given.state.isSettled(0, attempt: 1))
        #expect(!given.state.isSettled(0, attempt: 2))
        try given.fold(.requeued(task: "t", reason: .operator))
        _ = try given.claim("w2")
        try given.fold(.requeued(task: "t", reason: .workerLost))
        #expect(given.state.decideRow(for: 0, attempt: 1) == .isEarlier)
        #expect(given.state.isSettled(0, attempt: 1))
        #expect(completion(given.state.decideRow(for: 0, attempt: 2))?.attempt == 2)
        #expect(completion(given.state.decideRow(for: 0, attempt: nil))?.worker == "w2")
    }

    @Test("rows that have spoken are counted, by completion and by what was read")
    func memory() throws {
        let text = "00000000000000ff" + String(repeating: "a", count: 48)
        let hash = try #require(RowHash(hex: text.utf8))
        #expect(hash.bits == 255)
        #expect(RowHash(sha256: [0, 0, 0, 0, 0, 0, 0, 255, 9]) == hash)
        #expect(RowHash(hex: "00FF".utf8) == nil)
        var given = Folding()
        try given.add("t")
        #expect(given.state.timesRowCounted(hash) == 0)
        var done = Event.Completion(task: "t", worker: nil, attempt: 0)
        done.row = Event.SourceRow(file: "f.csv", number: 2, sha256: text)
        var read = Event.CSVRead(file: "f.csv", bytes: 9, sha256: text)
        read.rows = [hash, RowHash(bits: 7)]
        read.countsByHashTo = 20
        try given.fold(.completed(done), .csvRead(read))
        #expect(given.state.timesRowCounted(hash) == 2)
        #expect(given.state.timesRowCounted(RowHash(bits: 7)) == 1)
        #expect(given.state.fileRead("f.csv")?.countsByHashTo == 20)
        let again = try StateDecoder.state(StateEncoder.bytes(given.state))
        #expect(again.timesRowCounted(hash) == 2)
        #expect(again.fileRead("f.csv") == given.state.fileRead("f.csv"))
    }
}
