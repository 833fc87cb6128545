import Crypto
import EventLog
import Projections

@testable import manager

/// A state file. Bit 0 of `way`: its checksum is made right first; bit 1: a Python manager's.
enum StateFuzzing {
    static func run(_ bytes: [UInt8], way: UInt8) throws {
        if way & 2 != 0 { return readPython(bytes) }
        let file = way & 1 == 0 ? bytes : withRightChecksum(bytes)
        _ = StateDecoder.statedPosition(file)
        _ = StateDecoder.stateHashes(file)
        _ = StateDecoder.isOwn(file)
        let state: ManagerState
        do throws(SnapshotProblem) { state = try StateDecoder.state(file, ofOlderFolds: true) } catch { return }
        use(state)
        // What a state file holds beyond the standard is read as it stands, and written so.
        if isJSON(file) { try LineFuzzing.checkSnapshot(of: state) }
    }

    /// The file with the checksum that its bytes have.
    private static func withRightChecksum(_ bytes: [UInt8]) -> [UInt8] {
        let mark = Array(#","checksum":""#.utf8)
        let end = bytes.count - mark.count
        let at = end < 0 ? nil : (0...end).last { bytes[$0...].starts(with: mark) }
        let covered = bytes[..<(at ?? bytes.count)]
        return covered + Array(#","checksum":"sha256:\#(hexString(SHA256.hash(data: covered)))"}"#.utf8) + [10]
    }

    /// What a manager does with a state that it was given.
    private static func use(_ state: ManagerState) {
        var state = state
        let now = LogTime(microseconds: 1_800_000_000_000_000)
        _ = (state.workerSummaries, state.isDone, state.blockedPhases, state.outputDirectories, state.unfinished)
        _ = (state.attemptTotal, StatusSummary(state).completionRate(now: now), state.nextCounter)
        for number in 0..<min(state.taskCount, 8) {
            let id = state.taskID(number)
            let next = UInt32(number + 1)
            let events: [Event] = [
                .assigned(Event.Assignment(task: id, worker: "w", attempt: next)),
                .failed(Event.Failure(task: id, worker: "w", attempt: next, error: "e")),
                .requeued(task: id, reason: .retry), .requeued(task: id, reason: .operator),
                .assigned(Event.Assignment(task: id, worker: "w", attempt: next + 1)),
                .completed(Event.Completion(task: id, worker: "w", attempt: next + 1)),
                .started(version: "1", host: "h", pid: 1),
            ]
            for event in events {
                var body: [UInt8] = []
                event.encode(actor: nil, to: &body)
                body.withUnsafeBufferPointer { buffer in
                    do throws(EventError) {
                        let view = try EventView(buffer)
                        state.apply(view, at: state.position.next, time: now, crc: 0)
                    } catch { preconditionFailure("an event of ours cannot be read: \(error)") }
                }
            }
        }
        _ = state.workerSummaries
    }

    private static func readPython(_ bytes: [UInt8]) {
        let surroundings = PythonState.Surroundings(dataDirectory: "/data") { _ in LogTime(microseconds: 0) }
        do throws(JSONError) {
            let state = try PythonState.read(bytes, surroundings)
            _ = state.warnings
        } catch {}
    }
}
