import Glibc

/// Looks at a child that has ended without taking its end away from whoever waits for it.
///
/// Linux' own waitid has a fifth argument for the resources used, which the C library hides, and wait4 (which shows
/// them) always reaps: swift-subprocess would then wait for a process that is gone. So the system call is made
/// directly, with WNOWAIT. `syscall` is variadic and so not visible to Swift; all its arguments are machine words,
/// which x86-64 and AArch64 pass to a variadic function as to any other.
enum ChildUsage {
    /// What a look at a child found.
    enum Finding: Equatable {
        /// It runs.
        case running
        /// It has ended and waits to be reaped; the greatest resident set in bytes, nil where unknown.
        case ended(maxRSSBytes: Int64?)
    }

    private typealias SystemCall =
        @convention(c) (
            Int, Int, Int, UnsafeMutableRawPointer?, Int, UnsafeMutableRawPointer?
        ) -> Int

    #if arch(x86_64)
        private static let waitidNumber: Int? = 247
    #elseif arch(arm64)
        private static let waitidNumber: Int? = 95
    #else
        private static let waitidNumber: Int? = nil
    #endif

    private static let systemCall: SystemCall? = dlsym(nil, "syscall").map {
        unsafeBitCast($0, to: SystemCall.self)
    }

    /// Looks at our child `pid`, without waiting and without reaping it. One that is no child of ours (any more) has
    /// ended, with nothing known.
    static func look(at pid: pid_t) -> Finding {
        let flags = WEXITED | WNOHANG | WNOWAIT
        var info = siginfo_t()
        while true {
            let status: Int
            var usage = rusage()
            var hasUsage = false
            if let systemCall, let waitidNumber {
                status = systemCall(waitidNumber, Int(P_PID.rawValue), Int(pid), &info, Int(flags), &usage)
                hasUsage = true
            } else {
                status = Int(waitid(P_PID, id_t(pid), &info, flags))
            }
            if status < 0 {
                if errno == EINTR { continue }
                return .ended(maxRSSBytes: nil)
            }
            // With WNOHANG a child that runs leaves the structure zeroed.
            guard info.si_signo != 0 else { return .running }
            return .ended(maxRSSBytes: hasUsage ? Int64(usage.ru_maxrss) * 1024 : nil)
        }
    }
}
