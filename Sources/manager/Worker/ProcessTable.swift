import EventLog
import Glibc

/// The processes of this machine, as /proc shows them.
struct ProcessTable: Sendable {
    /// One process.
    struct Entry: Sendable, Hashable {
        /// Its id.
        let pid: Int32
        /// Its parent's id.
        let parent: Int32
        /// Its process group.
        let group: Int32
        /// Clock ticks from the machine's start to its own (field 22 of `stat`): with the pid, its identity.
        let startTicks: UInt64
        /// False for a zombie: it has ended and only waits for its parent.
        let isAlive: Bool
    }

    /// Where /proc is.
    let root: String
    private let fileSystem: any FileSystem

    /// Looks at /proc; another root is for doubles.
    init(on fileSystem: any FileSystem = LocalFileSystem(), root: String = "/proc") {
        self.fileSystem = fileSystem
        self.root = root
    }

    /// The process with this id; nil when there is none.
    func entry(_ pid: Int32) -> Entry? {
        guard let bytes = read("\(pid)/stat", atMostBytes: 4096) else { return nil }
        return Self.parse(bytes)
    }

    /// All processes. Those that end meanwhile are left out. Throws when /proc cannot be listed.
    func all() throws(FileError) -> [Entry] {
        try fileSystem.list(root).compactMap { Int32($0) }.compactMap { entry($0) }
    }

    /// The living processes of a group. Throws when /proc cannot be listed.
    func members(ofGroup group: Int32) throws(FileError) -> [Entry] {
        try all().filter { $0.group == group && $0.isAlive }
    }

    /// What tells one start of this machine from the next. Throws when /proc is not there.
    func bootID() throws(FileError) -> String {
        let file = try fileSystem.open(root + "/sys/kernel/random/boot_id", .read)
        defer { file.close() }
        let bytes = try readBytes(of: file, at: 0, count: 128)
        return String(decoding: bytes.prefix { $0 != 0x0A }, as: UTF8.self)
    }

    /// The moment at which a process was started, to a hundredth of a second or so; nil when there is none.
    func startTime(of pid: Int32) -> LogTime? {
        let ticksPerSecond = sysconf(Int32(_SC_CLK_TCK))
        guard ticksPerSecond > 0, let entry = entry(pid), let statistics = read("stat", atMostBytes: 8 << 20) else {
            return nil
        }
        for line in statistics.split(separator: 0x0A) where line.starts(with: "btime ".utf8) {
            guard let boot = Int64(String(decoding: line.dropFirst(6), as: UTF8.self)) else { return nil }
            return LogTime(microseconds: boot * 1_000_000)
                .advanced(bySeconds: Double(entry.startTicks) / Double(ticksPerSecond))
        }
        return nil
    }

    /// True when the process was started with this variable at this value, and belongs to this user.
    func wasStarted(_ pid: Int32, with variable: String, _ value: String, byUser user: UInt32) -> Bool {
        guard owner(pid) == user, let environment = read("\(pid)/environ", atMostBytes: 8 << 20) else { return false }
        let wanted = Array("\(variable)=\(value)".utf8)
        return environment.split(separator: 0).contains { $0.elementsEqual(wanted) }
    }

    /// The process, its parent, and so on up to the first.
    func ancestors(of pid: Int32) -> Set<Int32> {
        var found: Set<Int32> = []
        var next: Int32? = pid
        while let pid = next, pid > 0, found.insert(pid).inserted { next = entry(pid)?.parent }
        return found
    }

    /// Reads the line of `stat`. The name, in parentheses, may hold anything: fields count from the last `)`.
    static func parse(_ stat: [UInt8]) -> Entry? {
        guard let open = stat.firstIndex(of: UInt8(ascii: "(")), let close = stat.lastIndex(of: UInt8(ascii: ")")),
            open < close, let pid = Int32(String(decoding: stat[..<open].dropLast(), as: UTF8.self))
        else { return nil }
        let fields = stat[(close + 1)...].split(separator: 0x20).map { String(decoding: $0, as: UTF8.self) }
        guard fields.count > 19, let parent = Int32(fields[1]), let group = Int32(fields[2]),
            let startTicks = UInt64(fields[19])
        else { return nil }
        let isAlive = fields[0] != "Z" && fields[0] != "X"
        return Entry(pid: pid, parent: parent, group: group, startTicks: startTicks, isAlive: isAlive)
    }

    private func owner(_ pid: Int32) -> UInt32? {
        guard let status = read("\(pid)/status", atMostBytes: 16384) else { return nil }
        for line in status.split(separator: 0x0A) where line.starts(with: "Uid:".utf8) {
            return line.split(separator: 0x09).dropFirst().first.flatMap { UInt32(String(decoding: $0, as: UTF8.self)) }
        }
        return nil
    }

    /// Nil when the process has gone, or is none of our business.
    private func read(_ name: String, atMostBytes count: Int) -> [UInt8]? {
        do throws(FileError) {
            let file = try fileSystem.open("\(root)/\(name)", .read)
            defer { file.close() }
            // Most are short; a long one is read again from its beginning, since it may have changed meanwhile.
            var room = min(count, 4096)
            while true {
                let bytes = try readBytes(of: file, at: 0, count: room)
                if bytes.count < room || room == count { return bytes }
                room = min(count, room * 8)
            }
        } catch {
            // ENOENT, ESRCH: it ended between the listing and the look. EACCES, EPERM: another user's.
            return nil
        }
    }
}
