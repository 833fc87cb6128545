import EventLog
import TestSupport

/// What a journal must hold: every command that was appended since it began, and how many of them are certain.
struct JournalModel {
    /// A command as it was given to the writer.
    struct Command {
        var last: LogPosition
        var time: LogTime
        var bodies: [[UInt8]]
    }

    /// All commands, in order; those behind `acknowledged` are in flight.
    private(set) var commands: [Command] = []
    /// The last position that was told to be durable.
    private(set) var acknowledged = LogPosition.zero
    /// Makes texts that differ.
    private var number = 0

    /// The last position that was appended.
    var last: LogPosition { commands.last?.last ?? .zero }

    /// A new command's text, unlike all before.
    mutating func text(_ bytes: Int, _ random: inout SeededGenerator) -> String {
        number += 1
        let word = String(random.next(), radix: 36)
        return "\(number)-" + String(repeating: word, count: bytes / 12 + 1)
    }

    /// Notes a command that was appended.
    mutating func append(_ command: EncodedCommand, time: LogTime, last: LogPosition) {
        let bodies = (0..<command.count).map { Array(command.bytes[command.range($0)]) }
        commands.append(Command(last: last, time: time, bodies: bodies))
    }

    /// Notes what is certain.
    mutating func acknowledge(_ position: LogPosition) { acknowledged = max(acknowledged, position) }

    /// Compares with what stands, and takes it over: commands in flight that did not survive are gone for good.
    /// `stopped`: the body that a line must have but for `synced`, which the writer adds.
    mutating func settle(_ directory: JournalDirectory) throws {
        var found: [(position: LogPosition, time: LogTime, body: [UInt8], hasMore: Bool)] = []
        let reader = LogReader(directory)
        try reader.forEach { line throws(JournalError) in
            found.append((line.position, line.time, Array(line.body), line.hasMore))
            return true
        }
        var at = 0
        var kept = 0
        for command in commands where at < found.count {
            let first = command.last.rawValue - UInt64(command.bodies.count) + 1
            for (index, body) in command.bodies.enumerated() {
                guard at < found.count else { throw SimulationFailure("half a command stands, up to seq \(at)") }
                let line = found[at]
                let isLast = index == command.bodies.count - 1
                guard line.position.rawValue == first + UInt64(index), line.time == command.time,
                    line.body.starts(with: body), line.hasMore == !isLast
                else { throw SimulationFailure("seq \(line.position) is not what was appended there") }
                at += 1
            }
            kept += 1
        }
        guard at == found.count else {
            throw SimulationFailure("\(found.count - at) events stand that nobody appended, from seq \(at + 1) on")
        }
        guard UInt64(found.count) >= acknowledged.rawValue else {
            throw SimulationFailure("acknowledged up to seq \(acknowledged), but only \(found.count) events stand")
        }
        commands.removeLast(commands.count - kept)
        acknowledged = last
    }
}
