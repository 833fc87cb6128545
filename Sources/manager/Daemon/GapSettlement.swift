import EventLog
import Projections

/// Writes what a repair leaves to be written: tasks in doubt are held, then notes tell of the gaps.
///
/// Order of effects: the holds first, as one command or several, then the notes in one. Power lost between: the next start
/// decides the same anew from the gap lines, and tasks that are held already are left out; the notes settle it.
enum GapSettlement {
    /// `notes`: those of a repair of just now; gaps that none of them names get a plain one.
    static func record(
        _ unsettled: GapFold.Unsettled, _ notes: [Event], _ processor: CommandProcessor, actor: String?,
        warn: (String) -> Void
    ) {
        if !unsettled.doubtful.isEmpty {
            warn(
                "\(unsettled.doubtful.count) \(unsettled.doubtful.count == 1 ? "task is" : "tasks are") held, as the events "
                    + "behind a gap in the journal do not fit what came before it: "
                    + shortened(unsettled.doubtful) + "; 'manager release' gives them free")
        }
        if !unsettled.lost.isEmpty {
            warn(
                "\(unsettled.lost.count) \(unsettled.lost.count == 1 ? "task was" : "tasks were") added in a gap of the "
                    + "journal and are unknown now: \(shortened(unsettled.lost)); submit them again")
        }
        let known = Set(notes.compactMap(lastPosition))
        let plain = unsettled.gaps.filter { !known.contains($0.last) }.map { note($0.first, $0.last, []) }
        if !unsettled.doubtful.isEmpty {
            processor.record(
                unsettled.doubtful.map { .held(task: $0, reason: GapFold.reason) }, actor: actor)
        }
        if !(notes + plain).isEmpty { processor.record(notes + plain, actor: actor) }
    }

    /// The note of a gap.
    static func note(
        _ first: LogPosition, _ last: LogPosition, _ more: [(key: String, json: [UInt8])]
    ) -> Event {
        .note(
            type: "journal_gap",
            members: [("first_seq", Array("\(first)".utf8)), ("last_seq", Array("\(last)".utf8))] + more)
    }

    private static func lastPosition(_ note: Event) -> LogPosition? {
        guard case .note(_, let members) = note, let last = members.first(where: { $0.key == "last_seq" }) else {
            return nil
        }
        return UInt64(String(decoding: last.json, as: UTF8.self)).map { LogPosition($0) }
    }

    /// At most 20 names.
    static func shortened(_ names: [String]) -> String {
        names.prefix(20).joined(separator: ", ") + (names.count > 20 ? " and \(names.count - 20) more" : "")
    }
}
