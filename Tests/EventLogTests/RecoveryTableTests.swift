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

    /// The rows of the table, in words of its own: what must hold of the facts for each decision.
    private static var rows: [(name: String, holds: (TailFacts) -> Bool, decision: String)] {
        func isWrong(_ f: TailFacts) -> Bool { if case .wrongPosition = f.firstBad { true } else { false } }
        func isGood(_ f: TailFacts) -> Bool { f.firstBad == .none && f.snapshotBeyond == nil }
        func isBroken(_ f: TailFacts) -> Bool { f.firstBad == .brokenLine }
        func isOneWrite(_ f: TailFacts) -> Bool { isBroken(f) && f.badBytes <= RecoveryTable.largestWriteBytes }
        func isLater(_ f: TailFacts) -> Bool { f.syncedAfter.map { $0 > f.lastGood } ?? false }
        return [
            ("wrong position", { isWrong($0) }, "wrongPosition"),
            ("snapshot beyond", { $0.firstBad == .none && $0.snapshotBeyond != nil }, "snapshotBeyond"),
            ("unfinished command", { isGood($0) && $0.endsInsideCommand }, "cutAndRewrite"),
            ("clean stop", { isGood($0) && !$0.endsInsideCommand && $0.isCleanStop }, "appendInPlace"),
            ("unclean stop", { isGood($0) && !$0.endsInsideCommand && !$0.isCleanStop }, "rewrite"),
            ("too much", { isBroken($0) && $0.badBytes > RecoveryTable.largestWriteBytes }, "moreThanOneWrite"),
            ("durable later", { isOneWrite($0) && isLater($0) }, "durableLater"),
            (
                "another maker",
                { isOneWrite($0) && !isLater($0) && $0.hasValidLineAfter && !$0.writesCarrySynced }, "validLinesFollow"
            ),
            (
                "durable in a snapshot",
                {
                    isOneWrite($0) && !isLater($0) && (!$0.hasValidLineAfter || $0.writesCarrySynced)
                        && $0.snapshotBeyond != nil
                }, "durableInSnapshot"
            ),
            (
                "one unsynced write",
                {
                    isOneWrite($0) && !isLater($0) && (!$0.hasValidLineAfter || $0.writesCarrySynced)
                        && $0.snapshotBeyond == nil
                }, "cutAndRewrite"
            ),
        ]
    }

    private func name(_ decision: RecoveryDecision) -> String {
        switch decision {
        case .appendInPlace: "appendInPlace"
        case .rewrite: "rewrite"
        case .cutAndRewrite: "cutAndRewrite"
        case .refuse(.snapshotBeyond): "snapshotBeyond"
        case .refuse(.durableInSnapshot): "durableInSnapshot"
        case .refuse(.wrongPosition): "wrongPosition"
        case .refuse(.moreThanOneWrite): "moreThanOneWrite"
        case .refuse(.durableLater): "durableLater"
        case .refuse(.validLinesFollow): "validLinesFollow"
        }
    }

    @Test("every combination of facts fits exactly one row, and is decided by it")
    func everyCombination() {
        var combinations = 0
        var used: Set<String> = []
        let flags = [false, true]
        for bad in [
            TailFacts.FirstBad.none, .brokenLine, .wrongPosition(LogPosition(3)), .wrongPosition(LogPosition(12)),
        ] {
            for bytes in [1, RecoveryTable.largestWriteBytes, RecoveryTable.largestWriteBytes + 1] {
                for synced in [nil, LogPosition(9), LogPosition(10), LogPosition(11)] {
                    for beyond in [nil, mark] {
                        for bits in 0..<16 {
                            let found = facts {
                                $0.firstBad = bad
                                $0.badBytes = bytes
                                $0.syncedAfter = synced
                                $0.snapshotBeyond = beyond
                                $0.endsInsideCommand = flags[bits & 1]
                                $0.hasValidLineAfter = flags[bits >> 1 & 1]
                                $0.writesCarrySynced = flags[bits >> 2 & 1]
                                $0.isCleanStop = flags[bits >> 3 & 1]
                            }
                            let fitting = Self.rows.filter { $0.holds(found) }
                            #expect(fitting.count == 1, "\(found): \(fitting.map(\.name))")
                            #expect(fitting.first?.decision == name(RecoveryTable.decide(found)), "\(found)")
                            used.insert(fitting.first?.name ?? "")
                            combinations += 1
                        }
                    }
                }
            }
        }
        #expect(combinations == 4 * 3 * 4 * 2 * 16)
        #expect(used.count == Self.rows.count, "no row is without a case")
    }

    @Test("a snapshot beyond the last event of good lines: events are missing, refused")
    func snapshotBeyond() {
        #expect(RecoveryTable.decide(facts { $0.snapshotBeyond = mark }) == .refuse(.snapshotBeyond(mark)))
    }

    @Test("a broken line is named for itself, whatever a snapshot behind it says of the journal's end")
    func brokenBeforeSnapshot() {
        var found = facts {
            $0.firstBad = .brokenLine
            $0.badBytes = 100
            $0.snapshotBeyond = mark
        }
        #expect(RecoveryTable.decide(found) == .refuse(.durableInSnapshot(mark)))
        found.hasValidLineAfter = true
        found.syncedAfter = LogPosition(12)
        #expect(RecoveryTable.decide(found) == .refuse(.durableLater(LogPosition(12))))
    }
}
