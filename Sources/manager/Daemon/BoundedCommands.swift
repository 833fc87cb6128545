import EventLog
import Projections
import Synchronization

/// Writes more events than one command may have: one command after the other, each durable before the next.
enum BoundedCommands {
    /// Events that belong together stay in one command as far as its bounds allow. Blocks. How many commands and events
    /// were written.
    @discardableResult
    static func write(
        _ groups: [[Event]], to processor: CommandProcessor, actor: String?
    ) -> (commands: Int, events: Int) {
        var command: [Event] = []
        var written = (commands: 0, events: 0)
        var bytes = 0
        func commit() {
            if command.isEmpty { return }
            let position = processor.core.withLock { processor.commit(command, actor: actor, &$0) }
            processor.writer.waitUntilDurable(position)
            written.commands += 1
            written.events += command.count
            command.removeAll(keepingCapacity: true)
            bytes = 0
        }
        var encoded: [UInt8] = []
        for group in groups {
            let sizes = group.map { event -> Int in
                encoded.removeAll(keepingCapacity: true)
                event.encode(actor: actor, to: &encoded)
                return encoded.count
            }
            let total = sizes.reduce(0, +)
            if command.count + group.count > Bounds.commandEvents || bytes + total > Bounds.commandBytes { commit() }
            for (event, size) in zip(group, sizes) {
                if command.count == Bounds.commandEvents || bytes + size > Bounds.commandBytes { commit() }
                command.append(event)
                bytes += size
            }
        }
        commit()
        return written
    }
}
