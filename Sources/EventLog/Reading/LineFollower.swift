/// Reads the journal's events as it grows, without beginning anew each time: for the process that holds the lock.
///
/// Sealed segments are read like by anybody (`LogReader`); the active one is kept open, and each call goes on at the
/// byte where the last one ended. Blocks on the disk. Used by one thread at a time.
public final class LineFollower {
    private static let chunkBytes = 256 << 10

    private let directory: JournalDirectory
    private var file: (any File)?
    private var offset: Int64 = 0
    /// Bytes behind the last whole line that was looked at.
    private var rest: [UInt8] = []
    /// The name of the open file.
    private var name = SegmentName(first: LogPosition(1))
    /// The position of the next line in it.
    private var due = LogPosition(1)
    /// The first position that was not shown yet.
    public private(set) var next: LogPosition

    /// Begins with a position.
    public init(_ directory: JournalDirectory, from: LogPosition) {
        self.directory = directory
        next = max(from, LogPosition(1))
    }

    deinit { file?.close() }

    /// Calls `body` with each event up to `limit`, which must be durable, until it returns false.
    public func forEach(
        upTo limit: LogPosition, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) {
        var fruitless = 0
        while next <= limit {
            let before = next
            if file == nil, try !open(upTo: limit, body) { return }
            if file != nil, try !readOn(upTo: limit, body) { return }
            fruitless = before == next ? fruitless + 1 : 0
            guard fruitless < 100 else {
                throw .damage(
                    JournalDamage(
                        kind: .missingSegment, file: "", position: next, detail: "no file holds this event"))
            }
        }
    }

    /// Shows what stands in sealed segments, or opens the active one. False: `body` asked to stop.
    private func open(
        upTo limit: LogPosition, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        guard let newest = try directory.segments().last else { return true }
        if !newest.isCompressed, newest.first <= next {
            file = try directory.open(newest)
            offset = 0
            rest = []
            name = newest
            due = newest.first
            return true
        }
        var goesOn = true
        let reader = LogReader(directory, from: next)
        try reader.forEach { line throws(JournalError) in
            // The active segment is read by `readOn`, so that the next call need not begin anew.
            guard line.position <= limit, newest.isCompressed || line.position < newest.first else { return false }
            goesOn = try body(line)
            next = line.position.next
            return goesOn
        }
        for gap in reader.gaps where gap.first <= next { next = max(next, gap.last.next) }
        return goesOn
    }

    /// Shows what was appended to the open segment; closes it where it ends before `limit`: another follows.
    /// False: `body` asked to stop.
    private func readOn(
        upTo limit: LogPosition, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Bool {
        while let file {
            switch try show(upTo: limit, body) {
            case .stopped: return false
            case .limit: return true
            case .needsMore:
                if try fill(file) > 0 { continue }
                file.close()
                self.file = nil
            }
        }
        return true
    }

    private func fill(_ file: any File) throws(JournalError) -> Int {
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        var failure: FileError?
        let count = chunk.withUnsafeMutableBytes { buffer -> Int in
            do throws(FileError) { return try file.read(at: offset, into: buffer) } catch { failure = error }
            return 0
        }
        if let failure { throw .file(failure) }
        offset += Int64(count)
        rest.append(contentsOf: chunk[..<count])
        return count
    }

    private enum Step { case stopped, limit, needsMore }

    /// Passes a line that is no event: a header, a gap line, or one that is broken where nobody asked for its event.
    private func pass(_ raw: UnsafeBufferPointer<UInt8>, _ start: Int) throws(JournalError) {
        if let gap = GapLine(raw) {
            due = gap.last.next
            if gap.last >= next { next = due }
        } else if SegmentHeader(raw) == nil {
            guard due < next else { throw damage(.bitRot, start, "the line's checksum is wrong") }
            due = due.next
        }
    }

    private func missing(before line: LogLine, _ start: Int) -> JournalError {
        damage(
            .missingSegment, start,
            "seq \(line.position) follows, \(next) to \(line.position.previous) are missing")
    }

    private func damage(_ kind: JournalDamage.Kind, _ start: Int, _ detail: String) -> JournalError {
        .damage(
            JournalDamage(
                kind: kind, file: name.text, byte: offset - Int64(rest.count) + Int64(start), position: next,
                detail: detail))
    }

    /// Shows the whole lines in `rest`, up to `limit`.
    private func show(
        upTo limit: LogPosition, _ body: (LogLine) throws(JournalError) -> Bool
    ) throws(JournalError) -> Step {
        var start = 0
        var step = Step.needsMore
        var failure: JournalError?
        rest.withUnsafeBufferPointer { bytes in
            do throws(JournalError) {
                while step == .needsMore, next <= limit, let end = bytes[start...].firstIndex(of: 10) {
                    let raw = UnsafeBufferPointer(rebasing: bytes[start..<end])
                    let line = LogLine(raw)
                    guard let line else {
                        try pass(raw, start)
                        start = end + 1
                        continue
                    }
                    if line.position > next { throw missing(before: line, start) }
                    start = end + 1
                    due = line.position.next
                    guard line.position >= next else { continue }
                    next = line.position.next
                    if try !body(line) { step = .stopped }
                }
            } catch { failure = error }
        }
        rest.removeFirst(start)
        if let failure { throw failure }
        return step == .needsMore && next > limit ? .limit : step
    }
}
