import EventLog
import Projections
import Synchronization

/// Keeps `checkpoints/` up with the journal while the manager runs, on a thread of its own that lets all others go first.
///
/// What it writes is for speed alone: whatever goes wrong is told once and tried again after the next segment.
final class CheckpointService: Sendable {
    /// How often the thread looks whether a segment was sealed.
    private static let interval = Duration.milliseconds(500)

    private let processor: CommandProcessor
    private let warn: @Sendable (String) -> Void
    private let isClosing = Atomic(false)
    private let gate = DispatchGate()
    private let ended = DispatchGate()

    /// Starts the thread.
    init(
        _ data: DataDirectory, _ processor: CommandProcessor, segmentBytes: Int64,
        warn: @escaping @Sendable (String) -> Void
    ) {
        self.processor = processor
        self.warn = warn
        startThread(named: "checkpoints") { [self] in
            yieldToOtherThreads()
            run(
                CheckpointWriter(data, segmentBytes: segmentBytes) { [self] in
                    isClosing.load(ordering: .acquiring)
                })
            ended.open()
        }
    }

    /// Ends the thread soon and waits for it: what was begun is given up.
    func close() {
        isClosing.store(true, ordering: .releasing)
        gate.open()
        ended.wait(for: .seconds(3600))
    }

    private func run(_ begun: CheckpointWriter) {
        var writer = begun
        var isReady = false
        var seals: UInt64?
        var told = ""
        while !isClosing.load(ordering: .acquiring) {
            let now = processor.writer.sealedSegments
            if now != seals {
                seals = now
                do {
                    if !isReady { try writer.begin() }
                    isReady = true
                    try writer.catchUp { [processor] in
                        let state = processor.snapshot
                        processor.writer.waitUntilDurable(state.position)
                        return state
                    }
                } catch is StateArchive.Interrupted {
                    return
                } catch {
                    if told != "\(error)" { warn("no checkpoint was written; the journal has everything: \(error)") }
                    told = "\(error)"
                }
            }
            gate.wait(for: Self.interval)
        }
    }
}
