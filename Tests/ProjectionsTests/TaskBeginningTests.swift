import EventLog
import Projections
import TestSupport
import Testing

@Suite("A task's story that begins with a state")
struct TaskBeginningTests {
    private let scratch: TemporaryDirectory

    init() throws { scratch = try TemporaryDirectory() }

    /// What a step says, but for how long the state before the first one lasted.
    private func facts(_ step: TaskStory.Step) -> String {
        "\(step.position) \(step.type) \(step.status) \(step.isMove) \(step.attempt) \(step.worker ?? "") "
            + "\(step.seconds ?? -1) \(step.goesOn)"
    }

    @Test("is from there on what the whole story is", arguments: [51, 52, 53] as [UInt64])
    func sameFromThere(seed: UInt64) throws {
        print("seed \(seed)")
        var random = RandomJournal(seed: seed)
        try random.write(events: 500, to: scratch.path, segmentBytes: 1 << 20)
        var (lines, times): ([[UInt8]], [LogTime]) = ([], [])
        var linesOfTask: [String: [[UInt8]]] = [:]
        let journal = JournalDirectory(scratch.path + "/journal", on: LocalFileSystem())
        try LogReader(journal).forEach { line throws(JournalError) in
            lines.append(Array(line.bytes))
            times.append(line.time)
            do throws(EventError) {
                let event = try EventView(line)
                let task = withExtendedLifetime(event) { String(decoding: event.task, as: UTF8.self) }
                linesOfTask[task, default: []].append(Array(line.bytes))
            } catch { throw Replay.unfoldable(line, error) }
            return true
        }
        let now = try #require(times.last).advanced(bySeconds: 100)
        for cut in [1, 100, 300, lines.count] {
            let state = try Replay.state(at: .position(LogPosition(UInt64(cut))), in: journal).state
            let baseline = try StateDecoder.state(StateEncoder.bytes(state))
            for task in random.tasks {
                let history = DiscardedHistory(position: baseline.position, time: baseline.time)
                let own = linesOfTask[task] ?? []
                let whole = try TaskStory(own, now: now)
                let beginning = TaskBeginning(task, in: baseline, after: history)
                #expect((beginning == nil) == (baseline.taskNumber(task) == nil))
                guard let beginning else { continue }
                // Lines of before are passed over.
                let story = try TaskStory(own, from: beginning, now: now)
                let later = whole.steps.filter { $0.position.rawValue > cut }
                #expect(story.steps.dropFirst().map(facts) == later.map(facts), "\(task) from \(cut)")
                let first = try #require(story.steps.first)
                let last = whole.steps.last { $0.position.rawValue <= cut }
                #expect(first.type == "baseline" && first.status == last?.status, "\(task) from \(cut)")
                if first.status == .assigned {
                    let assigned = whole.steps.last { $0.position.rawValue <= cut && $0.isMove }
                    #expect(first.attempt == assigned?.attempt && first.since == assigned?.time, "\(task) from \(cut)")
                }
            }
        }
    }
}
