import EventLog

/// A pattern of file names, such as `configs/*.yaml`: `*`, `?` and `[a-z]` within a name; `\` takes a sign's meaning.
/// A name that begins with a point is matched only by a pattern that does.
struct GlobPattern: Sendable, Equatable, CustomStringConvertible {
    /// The pattern as given.
    let description: String

    /// Takes a pattern; every text is one.
    init(_ text: String) { description = text }

    /// A pattern that matches exactly one name.
    static func literal(_ name: String) -> String {
        name.reduce(into: "") { text, sign in
            if "*?[\\".contains(sign) { text.append("\\") }
            text.append(sign)
        }
    }

    /// False where the text can only match the one name that it is.
    var isPattern: Bool { description.contains { "*?[\\".contains($0) } }

    /// The files that match, sorted by bytes; directories are none. A relative pattern is meant from `directory`
    /// (empty: the working directory), and so are the names that are returned. Throws what listing a directory throws,
    /// other than that it is missing or may not be read.
    func files(in directory: String, on fileSystem: any FileSystem) throws(FileError) -> [String] {
        let isAbsolute = description.utf8.first == UInt8(ascii: "/")
        let names = description.split(separator: "/").map(String.init)
        guard let last = names.last else { return [] }
        func place(_ path: String) -> String {
            if isAbsolute { return "/" + path }
            if directory.isEmpty { return path.isEmpty ? "." : path }
            return path.isEmpty ? directory : directory + "/" + path
        }
        var found = [""]
        for name in names.dropLast() {
            found = try step(name, from: found, place, on: fileSystem, directories: true)
        }
        found = try step(last, from: found, place, on: fileSystem, directories: false)
        return found.map { isAbsolute ? "/" + $0 : $0 }.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private func step(
        _ name: String, from parents: [String], _ place: (String) -> String, on fileSystem: any FileSystem,
        directories: Bool
    ) throws(FileError) -> [String] {
        var found: [String] = []
        for parent in parents {
            let prefix = parent.isEmpty ? "" : parent + "/"
            if !name.contains(where: { "*?[\\".contains($0) }) {
                if let metadata = try fileSystem.metadata(place(prefix + name)), metadata.isDirectory == directories {
                    found.append(prefix + name)
                }
                continue
            }
            guard let metadata = try fileSystem.metadata(place(parent)), metadata.isDirectory else { continue }
            for candidate in try fileSystem.list(place(parent)) where Self.matches(candidate, name) {
                guard let metadata = try fileSystem.metadata(place(prefix + candidate)),
                    metadata.isDirectory == directories
                else { continue }
                found.append(prefix + candidate)
            }
        }
        return found
    }

    /// True when a single name matches a single pattern.
    static func matches(_ name: String, _ pattern: String) -> Bool {
        if name.utf8.first == UInt8(ascii: "."), pattern.utf8.first != UInt8(ascii: ".") { return false }
        let name = Array(name.unicodeScalars)
        let pattern = Array(pattern.unicodeScalars)
        var (n, p) = (0, 0)
        // Where to go on when what follows the newest star does not match: the star takes one sign more.
        var retry: (name: Int, pattern: Int)?
        while n < name.count {
            if p < pattern.count, pattern[p] == "*" {
                p += 1
                retry = (n, p)
                continue
            }
            if let end = matchOne(name[n], pattern, at: p) {
                n += 1
                p = end
            } else if let (start, after) = retry {
                n = start + 1
                p = after
                retry = (n, after)
            } else {
                return false
            }
        }
        return pattern[p...].allSatisfy { $0 == "*" }
    }

    /// Where the pattern goes on after it matched this sign; nil when it did not.
    private static func matchOne(_ sign: Unicode.Scalar, _ pattern: [Unicode.Scalar], at p: Int) -> Int? {
        guard p < pattern.count else { return nil }
        switch pattern[p] {
        case "?": return p + 1
        case "\\" where p + 1 < pattern.count: return pattern[p + 1] == sign ? p + 2 : nil
        case "[":
            var at = p + 1
            let isNegated = at < pattern.count && (pattern[at] == "!" || pattern[at] == "^")
            if isNegated { at += 1 }
            let first = at
            var isIn = false
            while at < pattern.count, pattern[at] != "]" || at == first {
                if at + 2 < pattern.count, pattern[at + 1] == "-", pattern[at + 2] != "]" {
                    isIn = isIn || (pattern[at] <= sign && sign <= pattern[at + 2])
                    at += 3
                } else {
                    isIn = isIn || pattern[at] == sign
                    at += 1
                }
            }
            // A bracket that is never closed is a plain sign.
            guard at < pattern.count else { return sign == "[" ? p + 1 : nil }
            return isIn != isNegated ? at + 1 : nil
        case let plain: return plain == sign ? p + 1 : nil
        }
    }
}
