import DequeModule
import EventLog
import NIOCore

/// Commits what the connections of one event loop appended during a turn, and lets their answers go.
///
/// The loop's thread may block for one sync: waking another thread would cost more than it. Used on its event loop only.
final class WorkerLoop {
    let eventLoop: any EventLoop
    let processor: CommandProcessor
    private var isScheduled = false
    private var isWaiting = false
    /// Connections with answers that are not out yet, in the order of their answers' positions.
    private var dirty: Deque<WorkerConnection> = []

    init(_ eventLoop: any EventLoop, _ processor: CommandProcessor) {
        self.eventLoop = eventLoop
        self.processor = processor
    }

    /// Notes that a connection has an answer to write when it is durable; the turn's end commits.
    func enqueue(_ connection: WorkerConnection) {
        if !connection.isQueued {
            connection.isQueued = true
            dirty.append(connection)
        }
        guard !isScheduled else { return }
        isScheduled = true
        let box = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { box.value.endTurn() }
    }

    private func endTurn() {
        isScheduled = false
        processor.writer.commit()
        drain()
    }

    private func drain() {
        isWaiting = false
        let durable = processor.writer.durable
        var blocked: LogPosition?
        for _ in 0..<dirty.count {
            let connection = dirty.removeFirst()
            connection.isQueued = false
            if let position = connection.writeAnswers(durable: durable) {
                connection.isQueued = true
                dirty.append(connection)
                blocked = max(blocked ?? .zero, position)
            }
        }
        if let blocked, !isWaiting {
            isWaiting = true
            let box = NIOLoopBound(self, eventLoop: eventLoop)
            let eventLoop = eventLoop
            processor.publisher.whenDurable(blocked) { eventLoop.execute { box.value.drain() } }
        }
    }
}
