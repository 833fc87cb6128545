/// The rules for a directory that wants results: relative to the data directory and inside it.
enum OutputDirectory {
    /// The greatest length of a path, in bytes.
    static let maximumBytes = 1024
    /// The greatest length of one name in it, in bytes (NAME_MAX).
    static let maximumNameBytes = 255

    /// What the manager keeps for itself in the data directory.
    private static let ownNames: Set<String> = ["journal", "backups", "checkpoints", ".outbox", ".gpu_locks"]

    /// The path without `//`, `/.` and a slash at its end, so that one directory has one spelling. Call it only
    /// with a path that has no `problem`.
    static func normalized(_ path: String) -> String {
        if !path.utf8.contains(UInt8(ascii: "/")) { return path }
        let names = path.split(separator: "/").filter { $0 != "." }
        return names.isEmpty ? "." : names.joined(separator: "/")
    }

    /// What is wrong with the path, to follow its name in a sentence; nil when nothing is.
    static func problem(_ path: String) -> String? {
        if path.isEmpty { return "is empty; name a directory inside the data directory" }
        if path.utf8.count > maximumBytes { return "is longer than \(maximumBytes) bytes; shorten it" }
        if path.utf8.first == UInt8(ascii: "/") { return "is absolute; name it relative to the data directory" }
        if hasControlCharacter(path) { return "has a control character; take it out" }
        let names = path.utf8.split(separator: UInt8(ascii: "/"))
        for name in names {
            if name.elementsEqual("..".utf8) { return "leaves the data directory; take out the '..'" }
            if name.count > maximumNameBytes { return "has a name over \(maximumNameBytes) bytes; shorten it" }
        }
        if let first = names.first(where: { !$0.elementsEqual(".".utf8) }), ownNames.contains(String(first) ?? "") {
            return "is kept by the manager for itself; choose another name"
        }
        return nil
    }

    /// True when the text holds a control character (Unicode Cc: C0, DEL and C1).
    static func hasControlCharacter(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.value < 0x20 || 0x7F...0x9F ~= $0.value }
    }
}
