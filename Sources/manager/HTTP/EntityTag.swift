import HTTPTypes
import Hummingbird
import Projections

/// Tags of answers that are a function of the journal's position (RFC 9110, section 8.8.3).
enum EntityTag {
    /// The tag of what a state says: its seq, and that event's checksum, for another journal has the same seqs.
    static func of(_ state: ManagerState) -> String {
        "W/\"\(state.position)-\(String(state.crc, radix: 16))\""
    }

    /// Whether the client knows this tag already. Weak comparison.
    static func stands(_ tag: String, in request: Request) -> Bool {
        guard let known = request.headers[.ifNoneMatch] else { return false }
        func bare(_ text: Substring) -> Substring { text.hasPrefix("W/") ? text.dropFirst(2) : text }
        let wanted = bare(tag[...])
        return known.split(separator: ",").contains { part in
            let part = part.drop { $0 == " " }
            let trimmed = part.prefix { $0 != " " }
            return trimmed == "*" || bare(trimmed) == wanted
        }
    }

    /// The answer to a client that knows.
    static func unchanged(_ tag: String) -> Response {
        Response(status: .notModified, headers: [.eTag: tag, .cacheControl: "private, no-cache"])
    }
}
