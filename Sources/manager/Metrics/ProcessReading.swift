import EventLog
import Glibc

/// What the kernel tells of this process.
struct ProcessReading {
    let cpuSeconds: Double
    let residentBytes: Double
    let openFiles: Int

    /// Reads now; what the kernel does not tell stays 0.
    init() {
        let memory = Self.words("/proc/self/statm")
        residentBytes = memory.count > 1 ? (Double(memory[1]) ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))) : 0
        // Behind the program's name in brackets, user and system time are the 12th and 13th (proc(5)).
        let times = Self.words("/proc/self/stat", behind: ")")
        let ticks = times.count > 12 ? (Double(times[11]) ?? 0) + (Double(times[12]) ?? 0) : 0
        cpuSeconds = ticks / Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        do throws(FileError) { openFiles = try LocalFileSystem().list("/proc/self/fd").count } catch { openFiles = 0 }
    }

    private static func words(_ path: String, behind mark: Character? = nil) -> [Substring] {
        do throws(FileError) {
            let file = try LocalFileSystem().open(path, .read)
            defer { file.close() }
            // Files of the kernel's have no size: read what there is.
            let text = String(decoding: try readBytes(of: file, at: 0, count: 2048), as: UTF8.self)
            let start = mark.flatMap { text.lastIndex(of: $0) }.map { text.index(after: $0) } ?? text.startIndex
            return text[start...].split(separator: " ")
        } catch { return [] }
    }
}
