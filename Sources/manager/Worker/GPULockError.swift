import EventLog

/// Why a GPU could not be had.
enum GPULockError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A call on the disk failed.
    case file(FileError)
    /// It is not ours to take.
    case refused(gpu: Int, path: String, GPULockDecision.Refusal, host: String, processStarted: LogTime?)

    /// One sentence: who has it and since when, and what to do.
    var description: String {
        switch self {
        case .file(let error): error.description
        case .refused(let gpu, let path, .held(let pid, let owner), let host, let started):
            "GPU \(gpu) is held by process \(pid) on \(host)\(Self.since(owner, started)) (\(path)): "
                + "wait for it or end it, or leave this GPU out"
        case .refused(let gpu, let path, .otherHost(let owner), let host, _):
            "GPU \(gpu) is held by process \(owner.pid) on \(owner.host) since \(owner.since) (\(path)); this is "
                + "\(host), from where it cannot be seen whether that process still runs: if it has ended, remove "
                + "\(path), else give each machine a data directory of its own"
        case .refused(let gpu, let path, .broken(let text), _, _):
            "\(path) holds no process id but \(String(decoding: StrictJSON.quoted(text), as: UTF8.self)), so who holds "
                + "GPU \(gpu) cannot be told: if no program uses it, remove \(path)"
        case .refused(let gpu, let path, .contended, _, _):
            "another manager is taking GPU \(gpu) or giving it back (\(path)): try again in a moment"
        }
    }

    private static func since(_ owner: GPULockOwner?, _ started: LogTime?) -> String {
        if let owner { return " since \(owner.since)" }
        return started.map { ", which runs since \($0)" } ?? ""
    }
}

/// Some GPUs of several could not be had; then none is kept.
struct GPUsNotTaken: Error, Sendable, CustomStringConvertible {
    /// One error a GPU that was not to be had, at least one.
    let errors: [GPULockError]
    /// The GPUs that could be had.
    let free: [Int]

    /// A sentence for each, and what remains.
    var description: String {
        var lines = errors.map(\.description)
        if !free.isEmpty {
            lines.append("free: --gpus \(free.map(String.init).joined(separator: ","))")
        }
        return lines.joined(separator: "\nmanager: ")
    }
}
