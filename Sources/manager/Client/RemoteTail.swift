import EventLog
import Foundation
import NIOHTTP1
import Projections

/// `tail --url`: the log of a running manager over HTTP. A connection that ends is made anew, and the log goes on after
/// the last event that was shown.
struct RemoteTail: Sendable {
    private static let pause = Duration.milliseconds(300)

    let client: ManagerClient
    let filter: EventFilter
    let phase: String?
    /// How many events of those that are there; nil: all.
    let last: Int?
    let from: UInt64
    /// The moment up to which events are shown, as it was given.
    let at: String?
    let seq: String?
    let printer: EventPrinter

    /// Until the end, or for ever when it follows.
    func run(follows: Bool) async throws {
        let status = try await client.ask(.GET, "/status")
        let end = UInt64(try answerNumber("seq", in: status))
        var start = from
        if let last, !hasFilter, at == nil, seq == nil, end >= UInt64(last) {
            start = max(start, end - UInt64(last) + 1)
        }
        var texts: [[UInt8]] = []
        var bound = [("seq", seq ?? (at == nil ? String(end) : nil)), ("at", at)]
        try await client.lines("/events?" + query(from: start, bound), warn: Self.warn) { line in
            guard let text = try text(line) else { return }
            guard let last else { return Terminal.write(text) }
            texts.append(text)
            if texts.count > 2 * max(last, 2048) { texts.removeFirst(texts.count - last) }
        }
        for text in texts.suffix(last ?? 0) { Terminal.write(text) }
        guard follows else { return }
        bound = [("follow", "true")]
        try await follow(from: max(end + 1, from), bound)
    }

    private static func warn(_ text: String) { Terminal.complain("manager: \(text)") }

    private func follow(from start: UInt64, _ bound: [(String, String?)]) async throws {
        var next = start
        var isAway = false
        while true {
            do {
                try await client.lines("/events?" + query(from: next, bound)) { line in
                    isAway = false
                    if let text = try text(line) { Terminal.write(text) }
                    next = Self.position(line).map { $0 + 1 } ?? next
                }
            } catch let failure as VerbFailure {
                guard failure.isUnreachable else { throw failure }
            }
            if !isAway { Terminal.complain("manager: \(client.url) is away; trying again") }
            isAway = true
            try await Task.sleep(for: Self.pause)
        }
    }

    private var hasFilter: Bool {
        !filter.types.isEmpty || filter.task != nil || filter.worker != nil || filter.since != nil || phase != nil
    }

    private func query(from start: UInt64, _ more: [(String, String?)]) -> String {
        func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
        let types = filter.types.isEmpty ? nil : filter.types.sorted().joined(separator: ",")
        let parts =
            [
                ("from", String(start)), ("since", filter.since?.description), ("type", types),
                ("task", text(filter.task)), ("worker", text(filter.worker)), ("phase", phase),
            ] + more
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        return parts.compactMap { name, value in
            value.map { "\(name)=\($0.addingPercentEncoding(withAllowedCharacters: allowed) ?? "")" }
        }.joined(separator: "&")
    }

    /// Nil: a line that is no event, which a manager of this version does not send.
    private func text(_ bytes: [UInt8]) throws -> [UInt8]? {
        try bytes.withUnsafeBufferPointer { buffer in
            guard let line = LogLine(buffer) else { return nil }
            return printer.text(line, try EventView(line))
        }
    }

    private static func position(_ bytes: [UInt8]) -> UInt64? {
        bytes.withUnsafeBufferPointer { LogLine($0)?.position.rawValue }
    }
}
