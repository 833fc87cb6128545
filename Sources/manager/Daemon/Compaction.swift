import EventLog
import Projections

/// A compaction of the journal with what belongs to it: the state saved before, a `compacted` note after.
struct Compaction: Sendable {
    let processor: CommandProcessor
    let snapshots: SnapshotService

    /// What was done.
    struct Done: Sendable {
        var report: CompactionReport
        /// The position of the note.
        var position: LogPosition
        /// What was discarded, where that was asked for.
        var discarded: Discarding.Done?
    }

    /// Blocks for as long as it takes; the manager goes on meanwhile. `discarding`: what goes for good before.
    func run(discarding: Discarding? = nil, actor: String?) throws -> Done {
        // Not needed for the compaction; a start after it replays less. Owed rows only put it off.
        _ = try snapshots.write()
        let discarded = try discarding?.run(processor, actor: actor)
        let report = try processor.writer.compact()
        processor.record([Self.note(report)], actor: actor)
        let position = processor.snapshot.position
        processor.writer.waitUntilDurable(position)
        return Done(report: report, position: position, discarded: discarded)
    }

    private static func note(_ report: CompactionReport) -> Event {
        .note(
            type: "compacted",
            members: [
                ("bytes_before", Array("\(report.bytesBefore)".utf8)),
                ("bytes_after", Array("\(report.bytesAfter)".utf8)),
                ("files_before", Array("\(report.filesBefore)".utf8)),
                ("files_after", Array("\(report.filesAfter)".utf8)),
            ])
    }
}

extension Compaction.Done {
    /// `{"bytes_before","bytes_after","segments_before","segments_after","seq"}`; segments are counted as files.
    var json: String {
        "{\"bytes_before\":\(report.bytesBefore),\"bytes_after\":\(report.bytesAfter),"
            + "\"segments_before\":\(report.filesBefore),\"segments_after\":\(report.filesAfter),\"seq\":\(position)"
            + (discarded.map { ",\"discarded\":\($0.json)" } ?? "") + "}"
    }
}
