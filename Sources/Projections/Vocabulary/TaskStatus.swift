/// Where a task stands.
public enum TaskStatus: UInt8, Sendable, CaseIterable {
    case pending, assigned, complete, failed, cancelled, held

    /// The word in files and answers.
    public var word: String {
        switch self {
        case .pending: "pending"
        case .assigned: "assigned"
        case .complete: "complete"
        case .failed: "failed"
        case .cancelled: "cancelled"
        case .held: "held"
        }
    }

    /// The status that a word names; nil for any other word.
    public init?(word: String) {
        guard let match = Self.allCases.first(where: { $0.word == word }) else { return nil }
        self = match
    }
}

/// Why a task went back to pending, and how an attempt ended without completing.
public enum RequeueReason: UInt8, Sendable, CaseIterable {
    case retry, stale, workerLost, returned, `operator`

    /// The word in the journal.
    public var word: String {
        switch self {
        case .retry: "retry"
        case .stale: "stale"
        case .workerLost: "worker_lost"
        case .returned: "returned"
        case .operator: "operator"
        }
    }

    /// The reason that a word names; nil for any other word.
    public init?(word: some Sequence<UInt8>) {
        guard let match = Self.allCases.first(where: { word.elementsEqual($0.word.utf8) }) else { return nil }
        self = match
    }

    /// True where the worker was lost rather than gave an answer.
    public var isLoss: Bool { self == .stale || self == .workerLost }
}

/// The sizes that names and values may have.
public enum Bounds {
    /// Ids, phases and worker names.
    public static let nameBytes = 200
    /// A config or a result.
    public static let valueBytes = 1 << 20
    /// An error's text; its end is kept.
    public static let errorBytes = 4 << 10
    /// Events of one command.
    public static let commandEvents = 10_000
    /// Bytes of one command.
    public static let commandBytes = 8 << 20

    /// Why a text cannot be a task's id, a phase or a worker's name; nil where it can.
    public static func problem(withName name: String, what: String) -> String? {
        let bytes = name.utf8
        if bytes.isEmpty { return "\(what) is empty" }
        if bytes.count > nameBytes { return "\(what) has \(bytes.count) bytes, at most \(nameBytes) are allowed" }
        if bytes.first == UInt8(ascii: ".") { return "\(what) '\(name)' begins with a dot" }
        if bytes.contains(where: { $0 < 32 || $0 == 127 || $0 == UInt8(ascii: "/") }) {
            return
                "\(what) '\(name.filter { $0.asciiValue.map { $0 >= 32 } ?? true })' has a control character or a slash"
        }
        if name.unicodeScalars.contains(where: { (0x80...0x9F).contains($0.value) }) {
            return "\(what) has a control character"
        }
        return nil
    }

    /// Why a text cannot be an output directory, as a sentence; nil where it can.
    public static func problem(withDirectory path: String) -> String? {
        OutputDirectory.problem(path).map { problem in
            let shown = path.unicodeScalars.prefix(100).map {
                OutputDirectory.hasControlCharacter(String($0)) ? "?" : $0
            }
            return "output directory '\(String(String.UnicodeScalarView(shown)))' \(problem)"
        }
    }

    /// The last bytes of an error's text that fit, cut at a character.
    public static func boundedError(_ text: String) -> String {
        guard text.utf8.count > errorBytes else { return text }
        var end = Array(text.utf8.suffix(errorBytes))
        while let first = end.first, first & 0xC0 == 0x80 { end.removeFirst() }
        return String(decoding: end, as: UTF8.self)
    }
}
