import EventLog
import Glibc

/// Waits until the journal may have grown: looks at the newest file's identity and size twenty times a second.
struct JournalWatch {
    private let journal: JournalDirectory

    init(_ journal: JournalDirectory) { self.journal = journal }

    /// Blocks until the newest segment is another, or has another size.
    func wait() {
        let before = look()
        repeat { usleep(50_000) } while look() == before
    }

    /// Blocks until it differs from what was seen, but at most so many seconds.
    func wait(atMost seconds: Double, since before: Sight) {
        let deadline = ContinuousClock.now + .milliseconds(Int64(seconds * 1000))
        while look() == before, ContinuousClock.now < deadline { usleep(50_000) }
    }

    /// The newest file as it was seen.
    struct Sight: Equatable {
        var name: SegmentName?
        var identity: FileIdentity?
        var sizeBytes: Int64 = 0
    }

    /// Looks at the newest file.
    func look() -> Sight {
        do {
            guard let name = try journal.segments().last else { return Sight() }
            let metadata = try journal.fileSystem.metadata(journal.path(of: name))
            return Sight(name: name, identity: metadata?.identity, sizeBytes: metadata?.sizeBytes ?? 0)
        } catch { return Sight() }  // a file that has just gone: the next look sees the new one
    }
}
