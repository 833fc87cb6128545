/// What can go wrong with the journal.
public enum JournalError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The disk refused.
    case file(FileError)
    /// Bytes that are not what was written.
    case damage(JournalDamage)
    /// A segment in a format that this program does not know.
    case newerFormat(found: UInt64, supported: UInt64, file: String)
    /// An event that was written so and that this program cannot fold: of a type that it does not know, say.
    case unfoldable(position: LogPosition, problem: String)
    /// Another process holds the journal; the holder's line from `journal/lock`.
    case locked(path: String, holder: String)
    /// A snapshot stands at a position that the journal does not reach.
    case snapshotBeyondEnd(snapshot: LogPosition, path: String, last: LogPosition)
    /// What is asked for lies in history that was discarded.
    case discarded(DiscardedHistory)
    /// What is asked for cannot be done as things stand; a sentence.
    case refused(String)

    /// A sentence for the user: what, where, what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .damage(let damage): damage.description
        case .newerFormat(let found, let supported, let file):
            "\(file) has journal format \(found); this program reads up to format \(supported): use a newer manager"
        case .locked(let path, let holder):
            "\(path) is held by another manager (\(holder)): stop that one, or use another --data-dir"
        case .snapshotBeyondEnd(let snapshot, let path, let last):
            "\(path) stands at seq \(snapshot), but the journal ends at seq \(last): acknowledged events are missing, "
                + "or the file belongs to another journal. Put the missing journal files back, or use another --data-dir; "
                + "'manager repair' marks what is missing and goes on from that state; or move \(path) away to go on from the "
                + "journal alone; 'manager reset' sets everything aside and starts fresh"
        case .unfoldable(let position, let problem): "seq \(position): \(problem)"
        case .discarded(let history): history.description
        case .refused(let sentence): sentence
        }
    }
}

/// History that is not there any more.
public struct DiscardedHistory: Sendable, Equatable, CustomStringConvertible {
    /// The last event of it.
    public var position: LogPosition
    /// That event's time; nil where it is not known.
    public var time: LogTime?
    /// When it was discarded; nil where no event tells.
    public var discardedAt: LogTime?

    /// Puts the parts together.
    public init(position: LogPosition, time: LogTime? = nil, discardedAt: LogTime? = nil) {
        self.position = position
        self.time = time
        self.discardedAt = discardedAt
    }

    /// What is gone, and since when.
    public var what: String {
        let before = time.map { "before \($0)" } ?? "up to seq \(position)"
        let date = discardedAt.map { " on \($0.description.prefix(10))" } ?? ""
        return "history \(before) was discarded\(date) (seq \(position))"
    }

    /// The text for people.
    public var description: String {
        "\(what): ask for a later moment, or point --data-dir at the archive, if it was moved to one"
    }
}

/// One place where the journal is not what was written.
public struct JournalDamage: Error, Sendable, Equatable, CustomStringConvertible {
    /// What it looks like.
    public enum Kind: String, Sendable {
        case torn
        case bitRot = "bit rot"
        case brokenChain = "broken chain"
        case missingSegment = "missing segment"
        case reordered
        case duplicate
        case header
        /// Repair took bytes out here: known, and passed by readers.
        case gap = "known gap"
        /// A head hash that was kept elsewhere is not what the journal gives.
        case anchor
        /// A saved state is not the one that the journal gives.
        case state
        /// A compressed file beside the journal (a backup, a baseline) cannot be read; `file` is its path.
        case copy
    }

    /// What it looks like.
    public var kind: Kind
    /// The file's name in the journal's directory.
    public var file: String
    /// The line in the (uncompressed) file, from 1; nil where it is not known.
    public var line: Int?
    /// The offset of the line in the (uncompressed) file, in bytes.
    public var byte: Int64?
    /// The position that was expected there.
    public var position: LogPosition
    /// What was found, in words.
    public var detail: String
    /// Of a file that is no part of the journal: what is to be done, a sentence; nil where the journal itself is damaged.
    public var advice: String?

    /// Makes a description.
    public init(
        kind: Kind, file: String, line: Int? = nil, byte: Int64? = nil, position: LogPosition, detail: String,
        advice: String? = nil
    ) {
        self.kind = kind
        self.file = file
        self.line = line
        self.byte = byte
        self.position = position
        self.detail = detail
        self.advice = advice
    }

    /// The text for people.
    public var description: String {
        // Files beside the journal's directory are told from it: `../manager_state.json`.
        var place = file.hasPrefix("../") ? String(file.dropFirst(3)) : "journal/\(file)"
        if let line { place += ", line \(line)" }
        if let byte { place += ", byte \(byte)" }
        if kind == .gap { return "known gap in \(place), at seq \(position): \(detail)" }
        if kind == .copy { return "\(file) is damaged: \(detail)" }
        if let advice { return "\(place) is damaged: \(detail). \(advice)" }
        if kind == .state { return "\(file) is not the state that the journal gives: \(detail)" }
        if kind == .anchor { return "the anchor at seq \(position) does not hold: \(detail)" }
        return "the journal is damaged (\(kind.rawValue)) in \(place), at seq \(position): \(detail). "
            + "'manager verify' lists every damage; 'manager repair' moves damaged bytes aside"
    }
}
