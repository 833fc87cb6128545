import CScan

/// File systems whose syncs or locks do not hold what the journal counts on.
enum UntrustedFileSystem {
    /// The name of such a file system where a path is on one; nil on others, and where the system does not tell.
    static func name(at path: String) -> String? {
        name(magic: clinux_filesystem_type(path))
    }

    /// By the number that statfs(2) gives.
    static func name(magic: UInt32) -> String? {
        switch magic {
        case 0x6969: "NFS"
        case 0x6573_5546: "FUSE"
        case 0x517B, 0xFF53_4D42, 0xFE53_4D42: "SMB"
        case 0x0102_1997: "9P"
        case 0x5346_414F: "AFS"
        default: nil
        }
    }

    /// The warning of a start.
    static func warning(_ name: String, _ path: String) -> String {
        "\(path) is on a file system (\(name)) whose syncs and locks cannot be trusted: a power loss there may cost acknowledged "
            + "events, and two managers may not see each other. Keep the data directory on a local disk"
    }
}
