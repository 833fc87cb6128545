import Foundation

/// `logs --url`: an attempt's log as a running manager has it. A connection that breaks off is made anew, and the log
/// goes on after the last byte that was shown: of that file, which may have been set aside meanwhile, and then in the next.
struct RemoteLog: Sendable {
    private static let pause = Duration.milliseconds(300)

    let client: ManagerClient
    let task: String
    /// Nil: the latest that has a log.
    let attempt: UInt32?
    /// The last so many lines; nil: all.
    let tail: Int?
    /// The moment whose latest attempt is meant, as a query.
    var moment: [(String, String?)] = []

    /// Until the log's end; when it follows, until the attempt has ended.
    func run(follows: Bool) async throws {
        var attempt = attempt.map(String.init)
        var offset: Int64?
        var file: String?
        var isAway = false
        while true {
            do {
                let start: (String, String?) =
                    offset.map { ("offset", String($0)) } ?? ("tail", tail.map(String.init))
                let query: [(String, String?)] = [
                    ("attempt", attempt), ("follow", follows ? "true" : nil), start,
                ]
                let path = path(query + [("file", follows ? file ?? "" : nil)] + moment)
                let asked = file
                var (isHead, count) = (true, 0)
                try await client.stream(path) { bytes, field in
                    isAway = false
                    if isHead, offset == nil, let warning = field("Manager-Warning") {
                        Terminal.complain("manager: \(warning)")
                    }
                    attempt = attempt ?? field("Manager-Attempt")
                    // Where the log was begun anew meanwhile, the answer begins there.
                    if isHead {
                        offset = field("Manager-Log-Offset").flatMap { Int64($0) } ?? offset
                        file = field("Manager-Log-File")
                    }
                    isHead = false
                    count += bytes.count
                    offset = (offset ?? 0) + Int64(bytes.count)
                    Terminal.write(bytes)
                }
                // An answer ends with its file: only one that has nothing more is the log's end.
                guard follows, let file, count > 0 || file != asked else { return }
                continue
            } catch let failure as VerbFailure {
                guard follows, failure.isUnreachable, offset != nil else { throw failure }
            }
            if !isAway { Terminal.complain("manager: \(client.url) is away; trying again") }
            isAway = true
            try await Task.sleep(for: Self.pause)
        }
    }

    private func path(_ query: [(String, String?)]) -> String {
        var allowed = CharacterSet.alphanumerics
        allowed.insert(charactersIn: "-._~")
        func escaped(_ text: String) -> String { text.addingPercentEncoding(withAllowedCharacters: allowed) ?? "" }
        let parts = query.compactMap { name, value in value.map { "\(name)=\(escaped($0))" } }
        return "/tasks/\(escaped(task))/log?" + parts.joined(separator: "&")
    }
}
