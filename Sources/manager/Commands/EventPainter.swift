import EventLog
import Projections

/// One human line an event, coloured on terminals.
struct EventPainter {
    let hasColours: Bool

    /// `2025-12-19 23:10:15.123  #41  assigned   TASK  gpu2  attempt 1`.
    mutating func line(_ line: LogLine, _ event: EventView) -> String {
        let time = line.time.description.dropLast(4).replacing("T", with: " ")
        let type = String(decoding: event.type, as: UTF8.self)
        var text =
            "\(dim(String(time)))  \(dim("#\(line.position)"))  \(colour(type))\(String(repeating: " ", count: max(1, 12 - type.count)))"
        if !event.task.isEmpty { text += String(decoding: event.task, as: UTF8.self) }
        if let worker = event.worker { text += "  \(String(decoding: worker, as: UTF8.self))" }
        if event.attempt > 0 { text += "  attempt \(event.attempt)" }
        if let reason = event.reason { text += "  \(String(decoding: reason, as: UTF8.self))" }
        if let result = event.result { text += "  \(String(decoding: result.prefix(120), as: UTF8.self))" }
        if !event.error.isEmpty {
            let last = String(decoding: event.error, as: UTF8.self).split(separator: "\n").last.map(String.init) ?? ""
            text += "  \(last.suffix(120))"
        }
        if let host = event.host, event.kind == .started {
            text += "on \(String(decoding: host, as: UTF8.self)), pid \(event.pid)"
        }
        return text
    }

    /// A duration such as `1.5 s`, `3.2 min`, `2.0 h`.
    static func duration(_ seconds: Double) -> String {
        guard seconds.magnitude < 1e12 else { return "\(seconds) s" }
        if seconds < 1 { return "\(Int((seconds * 1000).rounded())) ms" }
        if seconds < 120 { return "\(ManagerState.oneDecimal(seconds)) s" }
        if seconds < 7200 { return "\(ManagerState.oneDecimal(seconds / 60)) min" }
        return "\(ManagerState.oneDecimal(seconds / 3600)) h"
    }

    private func dim(_ text: String) -> String { hasColours ? "\u{1B}[2m\(text)\u{1B}[0m" : text }

    private func colour(_ type: String) -> String {
        hasColours ? "\u{1B}[\(Self.code(type))m\(type)\u{1B}[0m" : type
    }

    /// The colour of an event's type, an ANSI code.
    static func code(_ type: String) -> Int {
        switch type {
        case "completed", "result": 32
        case "failed", "cancelled": 31
        case "requeued", "held": 33
        case "assigned": 36
        case "added", "extended": 34
        default: 2
        }
    }
}
