import Crypto
import EventLog
import Projections

/// Drops the oldest history for good, or moves it to an archive: whole segments, for which a baseline stands in.
///
/// Order of effects, and what the next start finds if the power goes between them: (1) the state file, every row up to it
/// written: nothing else has changed; (2) the baseline, read back: a state beside a whole journal, used as any other;
/// (3) the `compacted` event with the hashes of the baseline and of each segment that goes, durable: likewise; (4) file
/// after file, oldest first, then the archive's baselines (`LocalJournalStore.discard`): some of the oldest are gone, the
/// baseline stands in for them. The next discarding to the same time or a later one takes the rest.
struct Discarding: Sendable {
    let data: DataDirectory
    /// Segments whose events all are before it go; nil: those up to `upTo` alone.
    var before: LogTime?
    /// Segments that lie wholly at or before it go, too.
    var upTo = LogPosition.zero
    /// Where they are moved to; nil: they are dropped.
    let archive: String?

    /// The time that a text names. A future one is refused: it is a slip of the pen, and would take all of history.
    static func time(_ text: String) throws(MomentText.Malformed) -> LogTime {
        let now = LogTime.now()
        let before = try MomentText.time(text, now: now)
        guard before <= now else {
            throw MomentText.Malformed(
                description: "\(before) lies in the future, and all of history before it: write 'now' to discard that")
        }
        return before
    }

    /// What went.
    struct Done: Sendable {
        var plan: DiscardPlan
        /// The baseline's file in the journal's directory; nil where nothing went.
        var baseline: String?
        var archive: String?
    }

    /// Blocks for as long as it takes; the manager goes on meanwhile. `sealing`: whether the active segment is sealed first.
    func run(_ processor: CommandProcessor, sealing: Bool = true, actor: String?) throws -> Done {
        var limit = upTo
        if let before {
            limit = max(limit, try data.journal.lastPosition(notAfter: LogTime(microseconds: before.microseconds - 1)))
        }
        let target = archive.map { JournalArchive($0, on: data.fileSystem) }
        var failure: (any Error)?
        var baseline: String?
        let plan: DiscardPlan
        do throws(JournalError) {
            plan = try processor.writer.discard(
                upTo: limit, archive: target, sealing: sealing
            ) { plan throws(JournalError) in
                do { baseline = try prepare(plan, processor, actor) } catch {
                    failure = error
                    throw .refused("\(error)")
                }
            }
        } catch { throw failure ?? error }
        return Done(plan: plan, baseline: baseline, archive: plan.last == nil ? nil : archive)
    }

    /// The baseline, then the event.
    private func prepare(_ plan: DiscardPlan, _ processor: CommandProcessor, _ actor: String?) throws -> String? {
        guard let last = plan.last else { return nil }
        guard processor.results.isWritten(upTo: last) else {
            throw JournalError.refused(
                "result rows are owed by history that would be discarded: try again when they are written")
        }
        let state = try MomentReader(data).state(at: .position(last)).state
        guard state.position == last else {
            throw JournalError.refused("the state at seq \(last) cannot be told, so nothing is discarded")
        }
        let path = data.journal.baselinePath(last)
        if try Baseline.read(last, in: data.journal)?.crc != state.crc {
            try StateArchive.write(state, to: path, on: data.fileSystem, paced: true)
        }
        let hash = hexString(SHA256.hash(data: try readWholeFile(path, on: data.fileSystem)))
        let name = "baseline-\(last).json.gz"
        processor.record([note(plan, baseline: name, sha256: hash)], actor: actor)
        processor.writer.waitUntilDurable(processor.snapshot.position)
        return name
    }

    private func note(_ plan: DiscardPlan, baseline: String, sha256: String) -> Event {
        func text(_ value: String) -> [UInt8] {
            var out: [UInt8] = []
            appendJSONString(value, to: &out)
            return out
        }
        func number(_ value: UInt64) -> [UInt8] { Array("\(value)".utf8) }
        var segments = Array("[".utf8)
        for (index, segment) in plan.segments.enumerated() {
            if index > 0 { segments.append(44) }
            segments += Array(
                "{\"segment\":\(segment.segment),\"last_seq\":\(segment.last),\"sha256\":\"\(segment.sha256)\"}".utf8)
        }
        segments.append(93)
        var members: [(key: String, json: [UInt8])] = [
            ("first_seq", number(plan.segments.first?.first.rawValue ?? 0)),
            ("last_seq", number(plan.last?.rawValue ?? 0)), ("events", number(UInt64(plan.events))),
            ("bytes", number(UInt64(plan.sizeBytes))), ("baseline", text(baseline)), ("baseline_sha256", text(sha256)),
            ("segments", segments),
        ]
        if let before { members.insert(("discarded_before", text(before.description)), at: 0) }
        if let archive { members.append(("archive", text(archive))) }
        return .note(type: "compacted", members: members)
    }
}

extension DiscardPlan {
    /// How many events go.
    var events: Int { segments.reduce(0) { $0 + Int($1.last.rawValue + 1 - $1.first.rawValue) } }
}

extension Discarding.Done {
    /// `{"events","segments","bytes","last_seq","baseline","archive"}`; `last_seq` 0 where nothing went.
    var json: String {
        func text(_ value: String?) -> String {
            guard let value else { return "null" }
            var out: [UInt8] = []
            appendJSONString(value, to: &out)
            return String(decoding: out, as: UTF8.self)
        }
        return "{\"events\":\(plan.events),\"segments\":\(plan.segments.count),\"bytes\":\(plan.sizeBytes),"
            + "\"last_seq\":\(plan.last ?? .zero),\"baseline\":\(text(baseline)),\"archive\":\(text(archive))}"
    }
}
