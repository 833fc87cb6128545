import Glibc

/// How many files and connections this process may hold.
enum OpenFiles {
    /// Raises the soft limit to the hard one: usual soft limits are fewer than the connections that are served.
    static func raiseLimit() {
        var limit = rlimit()
        let kind = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(kind, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(kind, &limit)  // Where it may not be raised, it stays as it is.
    }
}
