import EventLog
import Glibc
import Projections

/// Who holds a GPU's lock beyond its process id: what stands in `gpu_N.owner`, one JSON line.
///
/// A process id comes to mean another process, on another machine or after a while; host, start of the machine and
/// start of the process tell which one is meant.
struct GPULockOwner: Sendable, Equatable {
    /// The process' id.
    var pid: Int32
    /// Its machine's name.
    var host: String
    /// The start of that machine.
    var bootID: String
    /// Its own start, in clock ticks from the machine's; nil where the system does not show it.
    var startTicks: UInt64?
    /// When it took the GPU, as `2025-12-19T23:10:15.123456Z`.
    var since: String

    /// Describes this process, now.
    static func ofThisProcess(_ processes: ProcessTable) throws(FileError) -> GPULockOwner {
        GPULockOwner(
            pid: getpid(), host: hostName(), bootID: try processes.bootID(),
            startTicks: processes.entry(getpid())?.startTicks, since: LogTime.now().description)
    }

    /// The line as the file holds it.
    var json: [UInt8] {
        let ticks = startTicks.map { #","start_ticks":\#($0)"# } ?? ""
        var line = Array(#"{"pid":\#(pid),"host":"#.utf8) + StrictJSON.quoted(host)
        line += Array(#","boot_id":"#.utf8) + StrictJSON.quoted(bootID) + Array(ticks.utf8)
        line += Array(#","since":"#.utf8) + StrictJSON.quoted(since)
        return line + Array("}\n".utf8)
    }
}

extension GPULockOwner {
    /// Reads a line; nil where it is none.
    init?(json bytes: [UInt8]) {
        let object: StrictJSON
        do throws(JSONError) { object = try StrictJSON(object: bytes) } catch { return nil }
        func text(_ name: String) -> String? { object[name].map { StrictJSON.text(of: $0) } }
        guard let pid = text("pid").flatMap({ Int32($0) }), pid > 0, let host = text("host") else { return nil }
        self.init(
            pid: pid, host: host, bootID: text("boot_id") ?? "", startTicks: text("start_ticks").flatMap { UInt64($0) },
            since: text("since") ?? "an unknown time")
    }
}
