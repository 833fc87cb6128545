import EventLog

/// `journal/baseline-<seq>.json.gz`: the state at a position whose earlier events are gone or have a gap. Permanent.
public enum Baseline {
    /// The newest good one that lies behind `base`, not behind a moment, and whose last event is the journal's own; nil
    /// without one.
    public static func newest(
        in journal: JournalDirectory, after base: LogPosition = .zero, notAfter moment: Moment
    ) throws(JournalError) -> ManagerState? {
        let positions: [LogPosition]
        do { positions = try journal.baselines() } catch { throw .file(error) }
        for position in positions.reversed() where position > base {
            if case .position(let wanted) = moment, position > wanted { continue }
            guard let state = try read(position, in: journal) else { continue }
            if case .time(let wanted) = moment, let time = state.time, time > wanted { continue }
            if try isOf(state, journal) { return state }
        }
        return nil
    }

    /// Reads one; nil where it is damaged or gone.
    public static func read(
        _ position: LogPosition, in journal: JournalDirectory
    ) throws(JournalError) -> ManagerState? {
        var bytes: [UInt8] = []
        do throws(JournalError) {
            try GzipFile.read(journal.baselinePath(position), on: journal.fileSystem) { bytes += $0 }
        } catch {
            switch error {
            case .damage: return nil
            case .file(let failure) where failure.isNotFound: return nil
            default: throw error
            }
        }
        do throws(SnapshotProblem) {
            let state = try StateDecoder.state(bytes, ofOlderFolds: true)
            return state.position == position ? state : nil
        } catch { return nil }
    }

    /// Throws where a fold that begins behind `base` would lack events: history before was discarded, and what stands in for
    /// it is damaged.
    public static func requireReach(of base: LogPosition, in journal: JournalDirectory) throws(JournalError) {
        let begins = try journal.historyBegins()
        guard begins > base.next else { return }
        throw .damage(
            JournalDamage(
                kind: .missingSegment, file: "baseline-\(begins.previous).json.gz", position: base.next,
                detail:
                    "the journal begins at seq \(begins), and no good baseline stands in for what was discarded before")
        )
    }

    /// Whether a state's last event is the journal's own: the line there has its checksum, or is gone.
    public static func isOf(_ state: ManagerState, _ journal: JournalDirectory) throws(JournalError) -> Bool {
        switch try Standing.at(state.position, in: journal) {
        case .event(let crc): return crc == state.crc
        case .gap: return true
        case .nothing: return try journal.segments().first?.first == state.position.next
        }
    }
}
