import EventLog
import Glibc

/// What one attempt's program wrote: `<output_dir>/logs/<task>.<attempt>.log`, of a worker that runs in the data
/// directory. Goes on in the new file where the log was begun anew (`--log-bytes`).
struct AttemptLog {
    /// Opens a path relative to the data directory.
    typealias Opening = @Sendable (String) throws(FileError) -> any File

    private static let chunkBytes = 64 << 10

    /// The attempt that it belongs to.
    let attempt: UInt32
    /// The path, relative to the data directory.
    let path: String
    /// Bytes of the file that were read or passed over.
    private(set) var offset: Int64 = 0

    /// True for a reader that is told where a file ends that was begun anew: `next` then stays there.
    var staysInFile = false
    /// Whether it has stayed at such an end.
    private(set) var isAtEndOfFile = false

    private let open: Opening
    private var file: any File

    /// The first of the attempts that has a log; nil where none has. Throws what opening throws, but not ENOENT.
    init?(
        of task: String, attempts: some Sequence<UInt32>, directory: String, open: @escaping Opening
    ) throws(FileError) {
        for attempt in attempts {
            let path = Self.path(task, attempt, directory)
            do throws(FileError) { file = try open(path) } catch {
                guard error.isMissing else { throw error }
                continue
            }
            self.attempt = attempt
            self.path = path
            self.open = open
            return
        }
        return nil
    }

    /// Where an attempt's log stands below the directory that its worker runs in.
    static func path(_ task: String, _ attempt: UInt32, _ directory: String) -> String {
        "\(directory)/logs/\(task).\(attempt).log"
    }

    /// Which file it reads, whatever that is called by now: device, inode and birth.
    func fileID() throws(FileError) -> String { try Self.id(file) }

    private static func id(_ file: any File) throws(FileError) -> String {
        let identity = try file.identity()
        return [identity.device, identity.inode, UInt64(bitPattern: file.birthNanoseconds())]
            .map { String($0, radix: 16) }.joined(separator: "-")
    }

    /// The next bytes, at most 64 KiB; empty where there are none now.
    mutating func next() throws(FileError) -> [UInt8] {
        let bytes = try read()
        // Missing: between the old one's renaming and the new one's beginning.
        guard bytes.isEmpty, let newest = try opened(path) else { return bytes }
        guard try newest.identity() != file.identity() else { return [] }
        // What came between our look and the renaming.
        let rest = try read()
        guard rest.isEmpty else { return rest }
        guard !staysInFile else {
            isAtEndOfFile = true
            return []
        }
        try goOn(to: newest)
        return try read()
    }

    /// Goes on after a byte of the file with this id. Where that is gone, begun anew twice or more, with the oldest that is
    /// there.
    mutating func resume(_ id: String, at wanted: Int64) throws(FileError) {
        offset = 0
        let newest = file
        if try Self.id(newest) == id {
            offset = min(wanted, try newest.sizeBytes())
            return
        }
        guard let before = try opened(path + ".1") else { return }
        let isIt = try Self.id(before) == id
        if isIt, wanted >= (try before.sizeBytes()) { return }
        file = before
        offset = isIt ? wanted : 0
    }

    /// Goes to the file behind the one that was read: the newest, or the one before where the log was begun anew twice.
    private mutating func goOn(to newest: any File) throws(FileError) {
        let before = try opened(path + ".1")
        offset = 0
        if let before, try before.identity() != file.identity() { file = before } else { file = newest }
    }

    private func opened(_ path: String) throws(FileError) -> (any File)? {
        do throws(FileError) { return try open(path) } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }

    /// Goes to a byte of the file; to the beginning where the file is shorter: it was begun anew.
    mutating func skip(toByte wanted: Int64) throws(FileError) { offset = wanted > (try file.sizeBytes()) ? 0 : wanted }

    /// Goes to the beginning of the last lines. A last line without its end counts as one.
    mutating func skip(toLastLines count: Int) throws(FileError) {
        var end = try file.sizeBytes()
        offset = end
        var found = 0
        var isEnd = true
        while end > 0, count > 0 {
            let start = max(0, end - Int64(Self.chunkBytes))
            let chunk = try read(at: start, count: Int(end - start))
            for index in chunk.indices.reversed() {
                defer { isEnd = false }
                guard chunk[index] == 10, !isEnd else { continue }
                found += 1
                guard found < count else {
                    offset = start + Int64(index) + 1
                    return
                }
            }
            // Shorter than it was: it was cut meanwhile.
            guard chunk.count == Int(end - start) else { break }
            end = start
        }
        offset = count > 0 ? 0 : offset
    }

    private mutating func read() throws(FileError) -> [UInt8] {
        let bytes = try read(at: offset, count: Self.chunkBytes)
        offset += Int64(bytes.count)
        return bytes
    }

    private func read(at start: Int64, count: Int) throws(FileError) -> [UInt8] {
        var chunk = [UInt8](repeating: 0, count: count)
        var failure: FileError?
        let read = chunk.withUnsafeMutableBytes { buffer in
            do throws(FileError) { return try file.read(at: start, into: buffer) } catch { failure = error }
            return 0
        }
        if let failure { throw failure }
        return Array(chunk[..<read])
    }
}

extension FileError {
    /// True when nothing stands at the path, nor can.
    fileprivate var isMissing: Bool { isNotFound || errno == ENOTDIR }
}
