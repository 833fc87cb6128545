import EventLog
import Foundation
import Glibc
import Projections

/// The file of tokens: a line each, `NAME ROLE sha256:HEX`; `#` begins a comment. Only its owner may read it (0600).
///
/// The tokens themselves are nowhere: whoever reads the file can act as nobody.
struct TokenFile: Sendable {
    /// Why a file is not taken: one sentence.
    struct Problem: Error, Sendable, CustomStringConvertible {
        let description: String
    }

    /// The path.
    let path: String
    private let fileSystem: any FileSystem

    init(_ path: String, on fileSystem: any FileSystem = LocalFileSystem()) {
        self.path = path
        self.fileSystem = fileSystem
    }

    /// The file of `--tokens`, else of `MANAGER_TOKENS`; nil where neither names one.
    static func named(_ flag: String?) -> TokenFile? {
        let named = flag ?? ProcessInfo.processInfo.environment["MANAGER_TOKENS"]
        return named.flatMap { $0.isEmpty ? nil : TokenFile($0) }
    }

    /// Where `token` verbs look when nothing is named: `~/.config/manager/tokens`.
    static var usual: TokenFile { TokenFile(UserConfiguration.directory + "/tokens") }

    /// Reads all entries. Throws for a file that others may read, and for any line that cannot be understood.
    func callers() throws(Problem) -> [Caller] {
        let bytes: [UInt8]
        do throws(FileError) {
            guard let found = try fileSystem.metadata(path) else {
                throw FileError(operation: "open", path: path, errno: ENOENT)
            }
            guard !found.isDirectory, found.permissions & 0o077 == 0 else {
                throw FileError(operation: "trust", path: path, errno: EACCES)
            }
            bytes = try readWholeFile(path, on: fileSystem)
        } catch {
            if error.operation == "trust" {
                throw Problem(
                    description:
                        "others than its owner may read or write the tokens' file \(path): 'chmod 600 \(path)' protects it"
                )
            }
            throw Problem(
                description:
                    "the tokens' file cannot be read: \(error); 'manager token create --role operator NAME --tokens \(path)' makes one"
            )
        }
        return try Self.parse(String(decoding: bytes, as: UTF8.self), path)
    }

    /// Reads the file's text.
    static func parse(_ text: String, _ path: String) throws(Problem) -> [Caller] {
        var callers: [Caller] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard !words.isEmpty else { continue }
            func refuse(_ why: String) -> Problem { Problem(description: "\(path), line \(index + 1): \(why)") }
            guard words.count == 3 else { throw refuse("NAME ROLE sha256:HEX is due, three words") }
            let name = String(words[0])
            if let problem = Bounds.problem(withName: name, what: "the token's name") { throw refuse(problem) }
            guard let role = Role(rawValue: String(words[1])) else {
                throw refuse("'\(words[1])' is no role: \(Role.words)")
            }
            guard words[2].hasPrefix("sha256:"), let digest = TokenDigest(hex: words[2].dropFirst(7)) else {
                throw refuse("the third word must be sha256: and 64 hex digits")
            }
            guard !callers.contains(where: { $0.name == name }) else { throw refuse("'\(name)' stands twice") }
            callers.append(Caller(name: name, role: role, digest: digest))
        }
        return callers
    }

    /// Adds a new token and returns it: it is shown once and kept nowhere. Makes the file where it is missing.
    ///
    /// The file is written whole under a temporary name and renamed; a power loss leaves the old one or the new one.
    func create(_ name: String, _ role: Role) throws -> String {
        if let problem = Bounds.problem(withName: name, what: "the token's name") {
            throw Problem(description: problem)
        }
        guard !name.contains(where: { $0 == " " || $0 == "\t" || $0 == "#" }) else {
            throw Problem(description: "the token's name '\(name)' has a space or a # in it")
        }
        return try changing { text, callers in
            guard !callers.contains(where: { $0.name == name }) else {
                throw Problem(
                    description:
                        "\(path) has a token named '\(name)' already: 'manager token remove \(name)' takes it away")
            }
            let token = Self.random()
            text += "\(name) \(role.rawValue) sha256:\(TokenDigest(of: token))\n"
            return token
        }
    }

    /// Takes a token away; false where none has the name.
    func remove(_ name: String) throws -> Bool {
        try changing { text, callers in
            guard callers.contains(where: { $0.name == name }) else { return false }
            text = text.split(separator: "\n", omittingEmptySubsequences: false).filter { line in
                line.split(whereSeparator: { $0 == " " || $0 == "\t" }).first.map(String.init) != name
            }.joined(separator: "\n")
            return true
        }
    }

    /// One change at a time: the directory's own lock is held, so that two creations lose none.
    private func changing<Answer>(_ change: (inout String, [Caller]) throws -> Answer) throws -> Answer {
        let directory = parentDirectory(of: path)
        try fileSystem.createDirectories(directory)
        let lock = try fileSystem.open(directory, .read)
        defer { lock.close() }
        while try !lock.tryLock() { usleep(10_000) }
        var text = ""
        var known: [Caller] = []
        if try fileSystem.metadata(path) != nil {
            known = try callers()
            text = String(decoding: try readWholeFile(path, on: fileSystem), as: UTF8.self)
            if !text.isEmpty, !text.hasSuffix("\n") { text += "\n" }
        }
        let before = text
        let answer = try change(&text, known)
        guard text != before else { return answer }
        var file = try AtomicFile(path, on: fileSystem, isPrivate: true)
        do {
            try file.append(Array(text.utf8))
            try file.commit()
        } catch {
            file.abandon()
            throw error
        }
        return answer
    }

    /// 256 random bits: nobody guesses them, so a plain hash is as good as a slow one.
    private static func random() -> String {
        var system = SystemRandomNumberGenerator()
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &system) }
        let text = Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
        return "mgr_" + text
    }
}
