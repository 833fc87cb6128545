import CScan
import EventLog

/// An event's members as the fold needs them: slices of the line, without copies.
///
/// Reads lines whose checksum is right; keys in any order, unknown keys skipped. Valid while the line's bytes are.
public struct EventView {
    /// Bytes inside the line, or inside `unescaped`.
    public typealias Bytes = UnsafeBufferPointer<UInt8>

    /// The types that the fold knows.
    public enum Kind: UInt8, Sendable, CaseIterable {
        case added, extended, prioritised, assigned, completed, failed, requeued, cancelled, held, released
        case started, result, csvRead
        /// A type that a fold may skip.
        case note
    }

    /// The event's type.
    public private(set) var kind = Kind.note
    /// The type's word.
    public private(set) var type = Bytes(start: nil, count: 0)
    /// The task's id.
    public private(set) var task = Bytes(start: nil, count: 0)
    /// The phase's name.
    public private(set) var phase = Bytes(start: nil, count: 0)
    /// The worker's name; nil where it is null or missing.
    public private(set) var worker: Bytes?
    /// The attempt's number; 0: never assigned.
    public private(set) var attempt: UInt32 = 0
    /// JSON, as it stands in the line.
    public private(set) var config = Bytes(start: nil, count: 0)
    /// The seed, as JSON.
    public private(set) var seed: Bytes?
    /// A JSON array of directories.
    public private(set) var outputDirectories = Bytes(start: nil, count: 0)
    /// A JSON array of phases.
    public private(set) var after: Bytes?
    /// A JSON array of the program and its arguments.
    public private(set) var command: Bytes?
    /// A JSON array of columns.
    public private(set) var key: Bytes?
    /// The variables for the program.
    public private(set) var environment: Bytes?
    /// The result, a JSON object.
    public private(set) var result: Bytes?
    /// The program's working directory.
    public private(set) var workingDirectory: Bytes?
    /// Seconds that an attempt may run, as JSON.
    public private(set) var timeout: Bytes?
    /// Higher is claimed first.
    public private(set) var priority: Int64 = 0
    /// How many failures are followed by another attempt.
    public private(set) var maxRetries: Int64 = Int64(TaskSpec.defaultMaxRetries)
    /// The sweep point's counter.
    public private(set) var counter: Int64?
    /// The error's text.
    public private(set) var error = Bytes(start: nil, count: 0)
    /// False where the error is null: an imported failure whose text is not known.
    public private(set) var hasError = false
    /// The reason, a word.
    public private(set) var reason: Bytes?
    /// When it was really assigned, where that was before it came into this journal.
    public private(set) var since: LogTime?
    /// Who asked.
    public private(set) var actor: Bytes?
    /// The interval of heartbeats that the worker announced: seconds, a JSON number.
    public private(set) var heartbeat: Bytes?
    /// The key that a claim named.
    public private(set) var claimKey: Bytes?
    /// The path of a result file.
    public private(set) var file = Bytes(start: nil, count: 0)
    /// SHA-256 in hex.
    public private(set) var sha256 = Bytes(start: nil, count: 0)
    /// How far a file was read, in bytes.
    public private(set) var fileBytes: Int64 = 0
    /// Up to where the rows of a file count by their hash, in bytes.
    public private(set) var countsByHashTo: Int64 = 0
    /// A JSON array: the hashes of rows that spoke for tasks which were complete or cancelled.
    public private(set) var rows: Bytes?
    /// SHA-256 of the row that completed a task, in hex.
    public private(set) var rowSHA256: Bytes?
    /// The version of the program.
    public private(set) var version: Bytes?
    /// The machine's name.
    public private(set) var host: Bytes?
    /// The process's id.
    public private(set) var pid: Int64 = 0

    private var isNote = false
    private var unescaped: [UnescapedText] = []

    /// Reads a line's members. Throws as `init(_:)` does.
    @inline(__always)
    public init(_ line: LogLine) throws(EventError) {
        guard let base = line.bytes.baseAddress, !line.spans.isEmpty else {
            self = try EventView(line.body)
            return
        }
        for span in line.spans { take(cscan_member(span, behind: base)) }
        try settleKind()
    }

    /// Reads the members of a line from `"type"` on. Throws for a type that this program does not know and may
    /// not skip, and for members of a wrong form.
    public init(_ body: Bytes) throws(EventError) {
        guard let base = body.baseAddress else { throw EventError(problem: "an event without members") }
        let end = base + body.count
        var p = base
        var member = cscan_member()
        while p < end {
            guard let next = cscan_member(p, end, &member) else {
                throw EventError(problem: "a member is broken at byte \(p - base) behind the time")
            }
            take(member)
            p = next
        }
        try settleKind()
    }

    @inline(__always)
    private static func matches(_ p: UnsafePointer<UInt8>, _ word: StaticString) -> Bool {
        let w = word.utf8Start
        for i in 0..<word.utf8CodeUnitCount where p[i] != w[i] { return false }
        return true
    }

    @inline(__always)
    private mutating func take(_ member: cscan_member) {
        let value = Bytes(start: member.value, count: member.value_size)
        let isEscaped = member.value_is_escaped != 0
        if member.key_size > 8 { return takeLong(member, value) }
        switch member.key_word {
        case cscan_member.word("type"): type = text(value, isEscaped) ?? type
        case cscan_member.word("task"): task = text(value, isEscaped) ?? task
        case cscan_member.word("worker"): worker = text(value, isEscaped)
        case cscan_member.word("attempt"): attempt = UInt32(clamping: Self.integer(value) ?? 0)
        case cscan_member.word("phase"): phase = text(value, isEscaped) ?? phase
        case cscan_member.word("config"): config = value
        case cscan_member.word("seed"): seed = value
        case cscan_member.word("result"): result = value
        case cscan_member.word("actor"): actor = text(value, isEscaped)
        case cscan_member.word("counter"): counter = Self.integer(value)
        case cscan_member.word("key"): key = value
        case cscan_member.word("priority"): priority = Self.integer(value) ?? 0
        case cscan_member.word("error"):
            error = text(value, isEscaped) ?? error
            hasError = value.first == 34
        case cscan_member.word("reason"): reason = text(value, isEscaped)
        case cscan_member.word("host"): host = text(value, isEscaped)
        case cscan_member.word("command"): command = value
        case cscan_member.word("after"): after = value
        case cscan_member.word("env"): environment = value
        case cscan_member.word("cwd"): workingDirectory = text(value, isEscaped)
        case cscan_member.word("since"): since = LogTime(jsonString: value)
        case cscan_member.word("note"): isNote = value.first == 116
        case cscan_member.word("file"): file = text(value, isEscaped) ?? file
        case cscan_member.word("bytes"): fileBytes = max(0, Self.integer(value) ?? 0)
        case cscan_member.word("sha256"): sha256 = text(value, isEscaped) ?? sha256
        case cscan_member.word("version"): version = text(value, isEscaped)
        case cscan_member.word("pid"): pid = Self.integer(value) ?? 0
        case cscan_member.word("rows"): rows = value
        case cscan_member.word("until"): countsByHashTo = max(0, Self.integer(value) ?? 0)
        default: return
        }
    }

    private mutating func takeLong(_ member: cscan_member, _ value: Bytes) {
        if member.isKey("output_dirs") {
            outputDirectories = value
        } else if member.isKey("max_retries") {
            maxRetries = Self.integer(value) ?? maxRetries
        } else if member.isKey("heartbeat_s") {
            heartbeat = value
        } else if member.isKey("row_sha256") {
            rowSHA256 = text(value, member.value_is_escaped != 0)
        } else if member.isKey("claim_key") {
            claimKey = text(value, member.value_is_escaped != 0)
        } else if member.isKey("timeout_s") {
            timeout = value.first == 110 ? nil : value
        }
    }

    /// A string's text; nil for null and anything that is no string.
    @inline(__always)
    private mutating func text(_ value: Bytes, _ isEscaped: Bool) -> Bytes? {
        guard value.count >= 2, value[0] == 34, let base = value.baseAddress else { return nil }
        let inside = Bytes(start: base + 1, count: value.count - 2)
        return isEscaped ? keep(inside) : inside
    }

    /// Resolves the escapes of a string and keeps the text.
    private mutating func keep(_ inside: Bytes) -> Bytes {
        let decoded = UnescapedText(unescapedJSON(inside))
        unescaped.append(decoded)
        return decoded.bytes
    }

    private static func integer(_ value: Bytes) -> Int64? {
        var at = 0
        let isNegative = value.first == 45
        if isNegative { at = 1 }
        guard at < value.count else { return nil }
        var number: Int64 = 0
        while at < value.count {
            let digit = value[at] &- 48
            guard digit <= 9 else { return Int64(exactly: Double(String(decoding: value, as: UTF8.self)) ?? .nan) }
            let (scaled, over) = number.multipliedReportingOverflow(by: 10)
            let (sum, more) = scaled.addingReportingOverflow(Int64(digit))
            if over || more { return isNegative ? .min : .max }
            number = sum
            at += 1
        }
        return isNegative ? -number : number
    }

    /// Whether a line's body begins with a type that this program knows. False says nothing: the type may stand elsewhere, or
    /// be a note's.
    public static func beginsWithKnownType(_ body: Bytes) -> Bool {
        guard let base = body.baseAddress, body.count > 20, matches(base, "\"type\":\"") else { return false }
        let word = base + 8
        guard let end = (0..<12).first(where: { word[$0] == 34 }) else { return false }
        return kind(word, end) != nil
    }

    /// The kind that a type's word names; nil for one that this program does not know, and for notes.
    @inline(__always)
    private static func kind(_ p: UnsafePointer<UInt8>, _ count: Int) -> Kind? {
        switch count {
        case 4: matches(p, "held") ? .held : nil
        case 5: matches(p, "added") ? .added : nil
        case 6: matches(p, "failed") ? .failed : matches(p, "result") ? .result : nil
        case 7: matches(p, "started") ? .started : nil
        case 8:
            matches(p, "assigned")
                ? .assigned
                : matches(p, "requeued")
                    ? .requeued
                    : matches(p, "released")
                        ? .released
                        : matches(p, "extended") ? .extended : matches(p, "csv_read") ? .csvRead : nil
        case 9: matches(p, "completed") ? .completed : matches(p, "cancelled") ? .cancelled : nil
        case 11: matches(p, "prioritised") ? .prioritised : nil
        default: nil
        }
    }

    private mutating func settleKind() throws(EventError) {
        guard let p = type.baseAddress else { throw EventError(problem: "an event without a type") }
        let known = Self.kind(p, type.count)
        if let known {
            kind = known
        } else if !isNote {
            throw EventError(
                problem:
                    "an event of type '\(String(decoding: type, as: UTF8.self))', which this program does not know "
                    + "and which is no note: use a newer manager")
        }
    }
}

/// Text whose escapes were resolved; keeps its memory.
private final class UnescapedText {
    let bytes: UnsafeBufferPointer<UInt8>

    init(_ text: [UInt8]) {
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(text.count, 1))
        _ = copy.initialize(from: text)
        bytes = UnsafeBufferPointer(start: copy.baseAddress, count: text.count)
    }

    deinit { bytes.deallocate() }
}

extension LogTime {
    /// The moment in a JSON string, quotes included; nil for anything else.
    init?(jsonString value: UnsafeBufferPointer<UInt8>) {
        guard value.count == LogTime.writtenBytes + 2, let base = value.baseAddress else { return nil }
        self.init(written: base + 1)
    }
}

/// An event that cannot be folded: a sentence.
public struct EventError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong.
    public let problem: String

    /// The text for people.
    public var description: String { problem }
}
