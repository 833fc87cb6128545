/// Mends a damaged journal: every good line stays as it is, everything else is moved to `journal/quarantine/`, and a gap
/// line stands where events are missing. The journal's lock must be held to apply it.
///
/// Order of effects, and what a start finds if the power goes between them:
/// 1. The bytes of a file that are moved aside, under `quarantine/`, each synced and renamed: files that nothing names.
/// 2. The mended file under `.tmp`, synced, read back, compared, renamed over the damaged one, the directory synced: the
///    damaged file or the mended one.
/// 3. The next file. Between two files: a journal with fewer damages; repair goes on where it stopped.
/// 4. Notes are appended by whoever opens the journal next: they are decided from the gap lines.
public struct JournalRepair {
    private let directory: JournalDirectory
    private let stateBeyond: (LogPosition) -> LogPosition?

    private var fileSystem: any FileSystem { directory.fileSystem }

    /// `stateBeyond`: where a good snapshot, backup or baseline stands beyond a position, if one does: events up to there
    /// were acknowledged.
    public init(_ directory: JournalDirectory, stateBeyond: @escaping (LogPosition) -> LogPosition?) {
        self.directory = directory
        self.stateBeyond = stateBeyond
    }

    /// Looks at everything and says what a repair would do. Nothing is written. `wanted`: positions whose lines'
    /// checksums are to be told; `body` is called with each event that will stand.
    public func plan(
        wanted: Set<LogPosition> = [], _ body: ((LogLine) throws(JournalError) -> Void)? = nil
    ) throws(JournalError) -> RepairPlan {
        try walk(wanted: wanted) { _ throws(JournalError) in
            Writer(nil, body)
        }
    }

    /// Carries out a plan of just now. What it moves aside may have been all that made the journal's end look like an
    /// unfinished write: then that is mended too.
    public func apply(_ plan: RepairPlan) throws(JournalError) {
        var next = plan
        for _ in 0..<Self.mostRounds where !next.changesNothing {
            try carryOut(next)
            next = try self.plan()
        }
    }

    /// More than any journal has needed.
    private static let mostRounds = 5

    private func carryOut(_ plan: RepairPlan) throws(JournalError) {
        let changed = Set(plan.changes.map(\.file))
        guard !changed.isEmpty else { return }
        do {
            try fileSystem.createDirectories(directory.path + "/quarantine")
            for name in try fileSystem.list(directory.path + "/quarantine") where name.hasSuffix(".tmp") {
                try fileSystem.remove(directory.path + "/quarantine/" + name)
            }
        } catch { throw .file(error) }
        _ = try walk(wanted: []) { name throws(JournalError) in
            guard changed.contains(name.text) else { return Writer(nil, nil) }
            return Writer(try MendedFile(directory, name), nil)
        }
    }

    // MARK: - The walk

    /// What is done with what comes out of one file.
    private final class Writer {
        let file: MendedFile?
        private let body: ((LogLine) throws(JournalError) -> Void)?

        init(_ file: MendedFile?, _ body: ((LogLine) throws(JournalError) -> Void)?) {
            self.file = file
            self.body = body
        }

        func take(_ output: SegmentMender.Output) throws(JournalError) {
            switch output {
            case .line(let bytes):
                if let body {
                    let raw = UnsafeBufferPointer(rebasing: bytes.bindMemory(to: UInt8.self).dropLast())
                    if let line = LogLine(raw) { try body(line) }
                }
                try file?.add(bytes)
            case .quarantine(let name, let bytes): try file?.quarantine(name, bytes)
            }
        }
    }

    private func walk(
        wanted: Set<LogPosition>, _ writer: (SegmentName) throws(JournalError) -> Writer
    ) throws(JournalError) -> RepairPlan {
        var mender = SegmentMender(wanted: wanted)
        let names = try settledNames()
        let discarded: Set<LogPosition>
        do { discarded = Set(try directory.baselines()) } catch { throw .file(error) }
        for (index, name) in names.enumerated() {
            let next = index + 1 < names.count ? names[index + 1] : nil
            if index > 0, next == nil, try isForeign(name, behind: mender.expected) {
                try setAside(name, &mender, writer)
                continue
            }
            if index == 0, discarded.contains(name.first.previous) {
                // History was discarded up to there.
            } else if name.first > mender.expected {
                let missing = SegmentName(first: mender.expected, isCompressed: true)
                try replace(missing, through: name.first.previous, &mender, writer)
            }
            let bytes: [UInt8]
            do { bytes = try readWholeFile(directory.path(of: name), on: fileSystem) } catch { throw .file(error) }
            if name.first < mender.expected, try isLeftOver(bytes, name, mender.expected) { continue }
            try mend(name, bytes, next, &mender, writer)
        }
        if let end = stateBeyond(mender.expected.previous) {
            // The newest file itself is missing.
            try replace(SegmentName(first: mender.expected), through: end, &mender, writer)
        }
        return mender.finish()
    }

    private func replace(
        _ name: SegmentName, through end: LogPosition, _ mender: inout SegmentMender,
        _ writer: (SegmentName) throws(JournalError) -> Writer
    ) throws(JournalError) {
        let writer = try writer(name)
        do throws(JournalError) {
            let words = try mender.replace(name, through: end) { output throws(JournalError) in try writer.take(output)
            }
            mender.note(change: name.text, words)
            try writer.file?.publish()
        } catch {
            writer.file?.abandon()
            throw error
        }
    }

    /// Whether the newest file is none of the journal's: no line in it is good, it is not the one that is due, and no state
    /// knows of an event beyond those before it. A name alone does not tell of lost events.
    private func isForeign(_ name: SegmentName, behind expected: LogPosition) throws(JournalError) -> Bool {
        guard name.first > expected, stateBeyond(expected.previous) == nil else { return false }
        let bytes: [UInt8]
        do { bytes = try readWholeFile(directory.path(of: name), on: fileSystem) } catch { throw .file(error) }
        var hasLine = false
        var reader = SalvageReader(bytes, isCompressed: name.isCompressed)
        try reader.forEach { piece throws(JournalError) in
            guard case .lines(let lines) = piece else { return }
            for line in lines.split(separator: 10) where !hasLine {
                hasLine = line.withUnsafeBufferPointer {
                    LogLine($0) != nil || SegmentHeader($0) != nil || GapLine($0) != nil
                }
            }
        }
        return !hasLine
    }

    /// Moves a whole file to the quarantine: the copy is durable before the file goes.
    private func setAside(
        _ name: SegmentName, _ mender: inout SegmentMender,
        _ writer: (SegmentName) throws(JournalError) -> Writer
    ) throws(JournalError) {
        let bytes: [UInt8]
        do { bytes = try readWholeFile(directory.path(of: name), on: fileSystem) } catch { throw .file(error) }
        let writer = try writer(name)
        do throws(JournalError) {
            try mender.setAside(name, bytes) { output throws(JournalError) in try writer.take(output) }
            try writer.file?.remove()
        } catch {
            writer.file?.abandon()
            throw error
        }
    }

    private func mend(
        _ name: SegmentName, _ bytes: [UInt8], _ next: SegmentName?, _ mender: inout SegmentMender,
        _ writer: (SegmentName) throws(JournalError) -> Writer
    ) throws(JournalError) {
        var body = bytes
        if next == nil, !name.isCompressed {
            let tail = UnsureTail.bytes(of: bytes, after: mender.expected.previous, stateBeyond: stateBeyond)
            body.removeLast(tail)
            mender.note(tail: tail)
        }
        let limit = next.map { $0.first.previous } ?? LogPosition(.max)
        var survey = LineSurvey(first: mender.expected, limit: limit, time: mender.lastTime)
        var reader = SalvageReader(body, isCompressed: name.isCompressed)
        try reader.forEach { piece throws(JournalError) in
            guard case .lines(let lines) = piece else { return }
            lines.withUnsafeBufferPointer { buffer in
                var at = 0
                while at < buffer.count {
                    let end = lineEnd(in: buffer, from: at) ?? buffer.count
                    survey.look(at: UnsafeBufferPointer(rebasing: buffer[at..<end]))
                    at = end + 1
                }
            }
        }
        let writer = try writer(name)
        do throws(JournalError) {
            let sink = { (output: SegmentMender.Output) throws(JournalError) in try writer.take(output) }
            var following = survey.laterSegment
            if following == nil, let next { following = try headerNumber(next) }
            mender.enter(name, limit: limit, survey, following: following)
            try reader.forEach { piece throws(JournalError) in try mender.take(piece, sink) }
            let end = try end(of: mender, name, next)
            let words = try mender.leave(through: end, frameProblem: reader.frameProblem, sink)
            if let words { mender.note(change: name.text, words) }
            // What may be an unfinished write stays as it is: the next start judges it.
            try writer.file?.add(bytes[body.count...])
            try writer.file?.publish()
        } catch {
            writer.file?.abandon()
            throw error
        }
    }

    /// The last event that must have stood in a file: it, or its end, is missing where it does not.
    private func end(
        of mender: SegmentMender, _ name: SegmentName, _ next: SegmentName?
    ) throws(JournalError) -> LogPosition {
        let last = mender.expected.previous
        guard let next else {
            let beyond = name.isCompressed ? nil : stateBeyond(last)
            // Without a line behind it, what was lost can only be counted by its newlines.
            let lines = UInt64(max(mender.badLines, 1))
            let lost = mender.hasBad ? LogPosition(last.rawValue &+ lines) : last
            return max(beyond ?? last, lost)
        }
        // Of a file without any event nothing tells how many there were: all that it can have held is lost. Were another file
        // made for them, it would take this one's name and number.
        if mender.hasBad || mender.expected <= name.first { return next.first.previous }
        // The file ends at a line's end: either whole files are missing behind it, or just its own last lines.
        return try headerNumber(next) == SegmentHeader.number(after: mender.number) ? next.first.previous : last
    }

    private func headerNumber(_ name: SegmentName) throws(JournalError) -> UInt64? {
        guard let file = try directory.open(name) else { return nil }
        defer { file.close() }
        do throws(JournalError) {
            guard let chunk = try SegmentChunks(name, file: file).next() else { return nil }
            let line = chunk.bytes.prefix { $0 != 10 }
            return line.withUnsafeBufferPointer { SegmentHeader($0)?.segment }
        } catch {
            guard case .damage = error else { throw error }
            return nil
        }
    }

    /// Whether everything in a file stands in an earlier one: what a merge left.
    private func isLeftOver(
        _ bytes: [UInt8], _ name: SegmentName, _ expected: LogPosition
    ) throws(JournalError) -> Bool {
        var reader = SalvageReader(bytes, isCompressed: name.isCompressed)
        var last = LogPosition.zero
        try reader.forEach { piece throws(JournalError) in
            if case .lines(let lines) = piece { last = max(last, lastEvent(in: lines) ?? .zero) }
        }
        return last < expected
    }

    /// The files as a start would settle them: of a segment that stands plain and compressed, the good one.
    private func settledNames() throws(JournalError) -> [SegmentName] {
        let store = LocalJournalStore(directory, segmentBytes: 1)
        let all = try directory.allSegments()
        let plain = Set(all.filter { !$0.isCompressed }.map(\.first))
        var names: [SegmentName] = []
        for name in all where names.last?.first != name.first {
            let isDouble = name.isCompressed && plain.contains(name.first)
            if isDouble, try !store.compressedIsGood(name) {
                names.append(SegmentName(first: name.first))
            } else {
                names.append(name)
            }
        }
        return names
    }
}
