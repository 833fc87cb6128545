import EventLog

/// What this process' memory came to: how much of a child's greatest resident set may be ours.
///
/// A child begins as a copy of this process, and Linux counts that copy into the child's `ru_maxrss`, also when it has
/// become another program since (`exec_mmap` in fs/exec.c keeps the old memory's high-water mark). The copy is never
/// larger than what this process has had at most.
enum OwnMemory {
    /// The kernel counts pages in batches a core: a figure may be off by so many bytes.
    private static let countingBytes: Int64 = 4 << 20

    /// The greatest resident set of this process since it became this program, in bytes (`VmHWM`, proc(5)); nil where the
    /// kernel does not tell. Unlike `ru_maxrss` it has no part of our own parent.
    static func peakBytes(
        at path: String = "/proc/self/status", on fileSystem: any FileSystem = LocalFileSystem()
    ) -> Int64? {
        let text: String
        do throws(FileError) {
            let file = try fileSystem.open(path, .read)
            defer { file.close() }
            text = String(decoding: try readBytes(of: file, at: 0, count: 8192), as: UTF8.self)
        } catch { return nil }
        for line in text.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let words = line.dropFirst("VmHWM:".count).split(whereSeparator: \.isWhitespace)
            guard words.count == 2, words[1] == "kB", let kibibytes = Int64(words[0]) else { return nil }
            return kibibytes * 1024
        }
        return nil
    }

    /// A child's greatest resident set, where it is beyond all that can be our copy in it; nil where it cannot be told
    /// apart. `ownPeak`: ours, read when the child had been started.
    static func ofProgram(maxRSSBytes: Int64?, ownPeak: Int64?) -> Int64? {
        guard let maxRSSBytes, let ownPeak, maxRSSBytes > ownPeak + countingBytes else { return nil }
        return maxRSSBytes
    }
}
