import EventLog
import Testing

@Suite("What becomes of the journal's end")
struct RecoveryTableTests {
    private let mark = SnapshotMark(position: LogPosition(20), path: "manager_state.json")

    private func facts(_ change: (inout TailFacts) -> Void = { _ in }) -> TailFacts {
        var facts = TailFacts(
            firstBad: .none, lastGood: LogPosition(10), badBytes: 0, endsInsideCommand: false,
            hasValidLineAfter: false, syncedAfter: nil, writesCarrySynced: true, snapshotBeyond: nil,
            isCleanStop: false)
        change(&facts)
        return facts
    }

    @Test("after a clean stop the file is appended to")
    func cleanStop() { #expect(RecoveryTable.decide(facts { $0.isCleanStop = true }) == .appendInPlace) }

    @Test("after an unclean stop the good lines are written anew")
    func uncleanStop() { #expect(RecoveryTable.decide(facts()) == .rewrite) }

    @Test("an unfinished command is cut")
    func unfinishedCommand() { #expect(RecoveryTable.decide(facts { $0.endsInsideCommand = true }) == .cutAndRewrite) }

    @Test("block 3 of a write survived and block 1 did not: one unsynced write, cut")
    func laterBlockSurvived() {
        let found = facts {
            $0.firstBad = .brokenLine
            $0.badBytes = 16_000
            $0.hasValidLineAfter = true
        }
        #expect(RecoveryTable.decide(found) == .cutAndRewrite)
    }

    @Test("a later write was begun when the broken line was durable: bit rot, refused")
    func durableLater() {
        let found = facts {
            $0.firstBad = .brokenLine
            $0.badBytes = 16_000
            $0.hasValidLineAfter = true
            $0.syncedAfter = LogPosition(11)
        }
        #expect(RecoveryTable.decide(found) == .refuse(.durableLater(LogPosition(11))))
    }

    @Test("valid lines follow in a journal without synced: refused")
    func otherMaker() {
        let found = facts {
            $0.firstBad = .brokenLine
            $0.badBytes = 100
            $0.hasValidLineAfter = true
            $0.writesCarrySynced = false
        }
        #expect(RecoveryTable.decide(found) == .refuse(.validLinesFollow))
    }

    @Test("more is broken than one write can be: refused")
    func tooMuch() {
        let found = facts {
            $0.firstBad = .brokenLine
            $0.badBytes = RecoveryTable.largestWriteBytes + 1
        }
        #expect(RecoveryTable.decide(found) == .refuse(.moreThanOneWrite))
    }

    @Test("a whole line with a wrong seq is no power loss: refused")
    func wrongPosition() {
        let found = facts { $0.firstBad = .wrongPosition(LogPosition(12)) }
        #expect(RecoveryTable.decide(found) == .refuse(.wrongPosition(LogPosition(12))))
    }

    @Test("a snapshot beyond the last good event: refused, broken end or not")
    func snapshotBeyond() {
        #expect(RecoveryTable.decide(facts { $0.snapshotBeyond = mark }) == .refuse(.snapshotBeyond(mark)))
    }
}
