import DequeModule
import EventLog
import NIOCore

/// A connection whose answers wait for what they were decided on. Used on its event loop only.
protocol LoopConnection: AnyObject {
    /// True while its loop has it among those with answers to write; the loop's alone.
    var isQueued: Bool { get set }
    /// Writes what may leave; returns the position that the next answer waits for, nil where none waits for one.
    func writeAnswers(durable: LogPosition) -> LogPosition?
}

/// Commits what the connections of one event loop appended during a turn, and lets their answers go. Used on its event
/// loop only.
final class WorkerLoop {
    let eventLoop: any EventLoop
    let processor: CommandProcessor
    private var isScheduled = false
    /// The position at which answers are looked at again; nil where none waits.
    private var awaited: LogPosition?
    /// Connections with answers that are not out yet, in the order of their answers' positions.
    private var dirty: Deque<any LoopConnection> = []

    init(_ eventLoop: any EventLoop, _ processor: CommandProcessor) {
        self.eventLoop = eventLoop
        self.processor = processor
    }

    /// Notes that a connection has an answer to write when it is durable; the turn's end commits.
    func enqueue(_ connection: any LoopConnection) {
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
        processor.writer.commitTurn()
        drain()
    }

    private func drain() {
        let durable = processor.writer.durable
        var blocked: LogPosition?
        for _ in 0..<dirty.count {
            let connection = dirty.removeFirst()
            connection.isQueued = false
            if let position = connection.writeAnswers(durable: durable) {
                if !connection.isQueued {
                    connection.isQueued = true
                    dirty.append(connection)
                }
                blocked = min(blocked ?? position, position)
            }
        }
        // The first of them: those whose write ends sooner do not wait for those behind.
        if let blocked, awaited.map({ blocked < $0 }) ?? true { wait(for: blocked) }
    }

    private func wait(for position: LogPosition) {
        awaited = position
        let box = NIOLoopBound(self, eventLoop: eventLoop)
        let eventLoop = eventLoop
        processor.publisher.whenDurable(position) {
            eventLoop.execute {
                let loop = box.value
                if loop.awaited == position { loop.awaited = nil }
                loop.drain()
            }
        }
    }
}
