import EventLog
import Projections

/// Lines of a plain journal file. Bit 0 of `way`: their checksums are made right first.
enum LineFuzzing {
    static func run(_ bytes: [UInt8], way: UInt8) throws {
        let lines = way & 1 == 0 ? bytes : withRightChecksums(bytes)
        let journal = try FuzzedJournal(lines, isCompressed: false)
        let (state, _, refused) = try journal.fold()
        // Events are facts; their members are whatever JSON the lines hold.
        if lines.split(separator: 10).allSatisfy(isJSON) { try checkSnapshot(of: state) }
        try FuzzedJournal(lines, isCompressed: false).checkStart()
        try journal.checkVerifyAndRepair(refused)
    }

    /// A state file gives the state again.
    static func checkSnapshot(of state: ManagerState) throws {
        let bytes = StateEncoder.bytes(state)
        let read: ManagerState
        do throws(SnapshotProblem) { read = try StateDecoder.state(bytes) } catch {
            throw FuzzFinding("a state's own file cannot be read: \(error)")
        }
        guard StateEncoder.bytes(read) == bytes else { throw FuzzFinding("a state's file gives another state") }
    }
}
