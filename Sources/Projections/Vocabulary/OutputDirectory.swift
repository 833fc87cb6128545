/// The rules for a directory that wants results: relative to the data directory and inside it.
public enum OutputDirectory {
    /// The greatest length of a path, in bytes.
    public static let maximumBytes = 1024
    /// The greatest length of one name in it, in bytes (NAME_MAX).
    public static let maximumNameBytes = 255

    /// What the manager keeps for itself in the data directory.
    private static let ownNames: Set<String> = ["journal", "backups", "checkpoints", ".outbox", ".gpu_locks"]
    /// How names of other files of its own begin there: the state file with its copies, `archive-<time>`.
    private static let ownPrefixes = ["manager_state.json"] + (0...9).map { "archive-\($0)" }
    /// The name of every result file; a directory of this name would keep rows from being written beside it.
    private static let resultFile = "final_results.csv"

    /// The path without `//`, `/.` and a slash at its end, so that one directory has one spelling. Call it only
    /// with a path that has no `problem`.
    public static func normalized(_ path: String) -> String {
        if !path.utf8.contains(UInt8(ascii: "/")) { return path }
        let names = path.split(separator: "/").filter { $0 != "." }
        return names.isEmpty ? "." : names.joined(separator: "/")
    }

    /// What is wrong with the path, to follow its name in a sentence; nil when nothing is.
    public static func problem(_ path: String) -> String? {
        if path.isEmpty { return "is empty; name a directory inside the data directory" }
        if path.utf8.count > maximumBytes { return "is longer than \(maximumBytes) bytes; shorten it" }
        if path.utf8.first == UInt8(ascii: "/") { return "is absolute; name it relative to the data directory" }
        if hasControlCharacter(path) { return "has a control character; take it out" }
        let names = path.utf8.split(separator: UInt8(ascii: "/"))
        for name in names {
            if name.elementsEqual("..".utf8) { return "leaves the data directory; take out the '..'" }
            if name.count > maximumNameBytes { return "has a name over \(maximumNameBytes) bytes; shorten it" }
        }
        if let first = names.first(where: { !$0.elementsEqual(".".utf8) }), isOwn(String(first) ?? "") {
            return "lies in '\(String(first) ?? "")', which the manager keeps for itself; choose another name"
        }
        if names.contains(where: { (String($0) ?? "").hasPrefix(resultFile) }) {
            return "has the name of a result file; choose another name"
        }
        return nil
    }

    private static func isOwn(_ name: String) -> Bool {
        ownNames.contains(name) || ownPrefixes.contains { name.hasPrefix($0) }
    }

    /// True when the text holds a control character (Unicode Cc: C0, DEL and C1).
    public static func hasControlCharacter(_ text: String) -> Bool {
        text.unicodeScalars.contains { $0.value < 0x20 || 0x7F...0x9F ~= $0.value }
    }
}
