/// The names of all types that the journal's format knows, in the order of its table.
public enum EventTypes {
    /// Those that a fold must know.
    public static let folded = [
        "added", "extended", "prioritised", "assigned", "completed", "failed", "requeued", "cancelled", "held",
        "released", "started", "stopped", "result", "csv_read",
    ]
    /// Those that tell what was done to the data.
    public static let notes = [
        "cut", "journal_gap", "compacted", "restored", "imported", "clock", Event.workerReleased,
    ]

    /// What is wrong with types that somebody asks for, with all that there are; nil where each is one of them.
    public static func problem(_ asked: some Sequence<String>) -> String? {
        guard let unknown = asked.first(where: { !folded.contains($0) && !notes.contains($0) }) else { return nil }
        return "there is no event type '\(unknown)': \((folded + notes).joined(separator: ", "))"
    }
}
