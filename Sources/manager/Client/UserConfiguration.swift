import EventLog
import Foundation
import Projections
import Yams

/// `~/.config/manager/config.yaml`: the managers that somebody uses, by name.
///
/// ```yaml
/// default: lab
/// managers:
///   lab: {url: "https://lab:5080", token: mgr_…, ca: /home/me/lab-ca.pem}
/// ```
struct UserConfiguration: Sendable {
    /// One manager.
    struct Entry: Sendable, Equatable {
        var url: String
        var token: String?
        var ca: String?
    }

    /// By name.
    private(set) var managers: [String: Entry] = [:]
    /// The one that is meant where nothing is named.
    private(set) var usual: String?

    /// Where the user's files for this program stand: `$XDG_CONFIG_HOME/manager`, else `~/.config/manager`.
    static var directory: String {
        let environment = ProcessInfo.processInfo.environment
        let base = environment["XDG_CONFIG_HOME"].flatMap { $0.isEmpty ? nil : $0 }
        return (base ?? (environment["HOME"] ?? ".") + "/.config") + "/manager"
    }

    /// No managers.
    init() {}

    /// Reads the user's file; empty where there is none. Throws a sentence for what cannot be understood, and for a file
    /// with tokens that others may read.
    static func read(
        _ path: String = directory + "/config.yaml", on fileSystem: any FileSystem = LocalFileSystem()
    ) throws(VerbFailure) -> UserConfiguration {
        do {
            guard let found = try fileSystem.metadata(path) else { return UserConfiguration() }
            let text = String(decoding: try readWholeFile(path, on: fileSystem), as: UTF8.self)
            let configuration = try UserConfiguration(yaml: text, path)
            if found.permissions & 0o077 != 0, configuration.managers.values.contains(where: { $0.token != nil }) {
                throw VerbFailure(
                    "\(path) holds tokens and others may read it: 'chmod 600 \(path)' protects it", status: 1)
            }
            return configuration
        } catch let failure as VerbFailure { throw failure } catch {
            throw VerbFailure("\(path): \(error)", status: 1)
        }
    }

    /// Reads the file's text.
    init(yaml: String, _ path: String) throws {
        func refuse(_ why: String) -> VerbFailure { VerbFailure("\(path): \(why)", status: 1) }
        guard let node = try Yams.compose(yaml: yaml) else { return }
        guard let top = node.mapping else { throw refuse("a mapping with 'managers' is due") }
        for (key, value) in top {
            switch key.string {
            case "default": usual = value.string
            case "managers":
                guard let entries = value.mapping else { throw refuse("'managers' must be a mapping of names") }
                for (name, entry) in entries {
                    guard let name = name.string, let members = entry.mapping, let url = members["url"]?.string else {
                        throw refuse("each of 'managers' needs a url")
                    }
                    managers[name] = Entry(url: url, token: members["token"]?.string, ca: members["ca"]?.string)
                }
            default: throw refuse("'\(key.string ?? "?")' is no key: default, managers")
            }
        }
        if let usual, managers[usual] == nil { throw refuse("default: '\(usual)' is none of 'managers'") }
    }
}

/// The manager that a verb speaks to: an address, with what is needed to be let in.
struct NamedManager: Sendable, Equatable {
    var url: String
    /// Nil: none is sent.
    var token: String?
    /// Whose certificates are trusted.
    var trust = ServerTrust()

    /// What `--url` or `MANAGER_URL` names, an address or a name of the user's file, else that file's default; nil where
    /// nothing is named. `MANAGER_TOKEN` and `--ca` or `MANAGER_CA` win over the file.
    static func find(
        _ flag: String?, ca: String? = nil, usesDefault: Bool = true
    ) throws(VerbFailure) -> NamedManager? {
        let environment = ProcessInfo.processInfo.environment
        func set(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let named = flag ?? set("MANAGER_URL")
        var found: NamedManager?
        if let named, named.contains("://") {
            found = NamedManager(url: named)
        } else {
            let configuration = try UserConfiguration.read()
            if let name = named ?? (usesDefault ? configuration.usual : nil) {
                guard let entry = configuration.managers[name] else {
                    throw VerbFailure(
                        "'\(name)' is no address of a manager: write http://HOST:PORT, or a name of \(UserConfiguration.directory)/config.yaml",
                        status: 64)
                }
                found = NamedManager(url: entry.url, token: entry.token, trust: ServerTrust(ca: entry.ca))
            }
        }
        guard var manager = found else { return nil }
        if let token = set("MANAGER_TOKEN") { manager.token = token }
        if let ca = ca ?? set("MANAGER_CA") { manager.trust.ca = ca }
        return manager
    }
}
