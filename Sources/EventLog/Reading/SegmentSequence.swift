/// The chunks of all files that hold the events from a position on, in order.
///
/// Goes by position: files may be compressed, merged and removed meanwhile. Where no file begins with the next position,
/// an earlier name may have become a merged file that holds it. Used by one thread at a time.
final class SegmentSequence: @unchecked Sendable {  // handed over whole to the one thread that reads
    private let directory: JournalDirectory
    private let start: LogPosition
    private let checksTrailers: Bool
    private var current: SegmentChunks?
    /// The last position that was read, or the one before the start.
    private var last: LogPosition
    private var opened: LogPosition?
    /// Lines before this position were read from another file already.
    private var trimsTo: LogPosition?
    /// True once the current plain file is known to be sealed, so that its end is its end.
    private var isFinal = false
    private var isFinished = false

    init(_ directory: JournalDirectory, from start: LogPosition, checkingTrailers: Bool) {
        self.directory = directory
        self.start = start
        self.last = start.previous
        self.checksTrailers = checkingTrailers
    }

    /// The next chunk; nil when no file holds the next position.
    func next() throws(JournalError) -> LineChunk? {
        while true {
            if let current, !isFinished || !current.tail.isEmpty {
                if !isFinished, let chunk = try current.next() {
                    guard let chunk = trimmed(chunk) else { continue }
                    if let position = lastEvent(in: chunk.bytes) { last = position }
                    return chunk
                }
                // A plain file may have grown since its end was met. Once a successor stands it grows no more: it is
                // read to its end once again, and only then is a line without newline a torn one.
                if !isFinal, !current.name.isCompressed {
                    isFinal = try directory.segments().contains { $0.first > current.name.first }
                    if isFinal { continue }
                    isFinished = true
                }
                if let tail = current.takeTail() { return tail }
            }
            guard !isFinished, try openNext() else { return nil }
        }
    }

    /// After `next` has thrown for damaged gzip data: goes on behind it, at the next member that can be entered, else at
    /// the next file. False where there is none.
    func resume() throws(JournalError) -> Bool {
        guard let current else { return false }
        if try current.skipDamagedMember() { return true }
        guard let next = try directory.segments().first(where: { $0.first > current.name.first }) else { return false }
        last = next.first.previous
        self.current = nil
        return true
    }

    /// Of the first chunks of a merged file, what was not read yet; nil where that is nothing.
    private func trimmed(_ chunk: LineChunk) -> LineChunk? {
        guard let position = trimsTo else { return chunk }
        let from = chunk.bytes.withUnsafeBufferPointer { bytes -> Int? in
            var at = 0
            while at < bytes.count, let end = bytes[at...].firstIndex(of: 10) {
                let line = UnsafeBufferPointer(rebasing: bytes[at..<end])
                let here = LogLine(line)?.position ?? SegmentHeader(line)?.first ?? GapLine(line)?.first
                // What is no line of ours is for the checker to name.
                guard let here, here < position else { return at }
                at = end + 1
            }
            return nil
        }
        guard let from else { return nil }
        trimsTo = nil
        var rest = chunk
        rest.bytes.removeFirst(from)
        rest.offset += Int64(from)
        return rest
    }

    /// Opens the file that holds the next position, or the following one; false when there is none behind the current.
    private func openNext() throws(JournalError) -> Bool {
        for _ in 0..<100 {
            let names = try directory.segments()
            let wanted = last.next
            if let opened {
                if let exact = names.last(where: { $0.first == wanted && $0.first > opened }) {
                    if try open(exact) { return true }
                    continue  // gone meanwhile: look again
                }
                switch try openHolder(of: wanted, names) {
                case .opened: return true
                case .changed: continue
                case .none: break
                }
                // Something is missing: the checker names it.
                guard let later = names.first(where: { $0.first > wanted }) else { return false }
                if try open(later) { return true }
            } else {
                // The first file: the last that begins at or before the wanted position, else the first of all.
                guard let name = names.last(where: { $0.first <= wanted }) ?? names.first else { return false }
                if try open(name, skippingTo: start) { return true }
            }
        }
        return false
    }

    private func open(_ name: SegmentName, skippingTo position: LogPosition? = nil) throws(JournalError) -> Bool {
        guard let file = try directory.open(name) else { return false }
        current = try SegmentChunks(name, file: file, skippingTo: position, checkingTrailers: checksTrailers)
        opened = name.first
        isFinal = false
        trimsTo = nil
        return true
    }

    private enum Holder { case opened, changed, none }

    /// Looks for a merged file that holds a position in its middle: a name that stood for a part before, or one that was
    /// passed over because a left-over began later.
    private func openHolder(of position: LogPosition, _ names: [SegmentName]) throws(JournalError) -> Holder {
        let identity = try current?.identity()
        // At the journal's end there is nothing to look for.
        if let newest = names.last, newest.first == opened, !newest.isCompressed { return .none }
        for name in names.reversed() where name.first <= position && name.isCompressed {
            guard let file = try directory.open(name) else { return .changed }
            let found: FileIdentity
            do { found = try file.identity() } catch { throw .file(error) }
            if found == identity { continue }
            let probe = try SegmentChunks(name, file: file, skippingTo: position)
            var reaches = false
            while !reaches, let chunk = try probe.next() {
                reaches = lastEvent(in: chunk.bytes).map { $0 >= position } ?? false
            }
            guard reaches else { continue }
            current = try SegmentChunks(
                name, file: file, skippingTo: position, checkingTrailers: checksTrailers)
            opened = name.first
            isFinal = false
            trimsTo = position
            return .opened
        }
        return .none
    }
}
