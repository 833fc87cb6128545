/// The name of a directory with `{key}` in it; `{{` and `}}` stand for braces, as in a command (`CommandTemplate`). A
/// `}` that closes nothing is itself.
struct PlaceholderTemplate: Equatable, Sendable {
    /// One piece of the text.
    enum Part: Equatable, Sendable {
        /// Text as it stands.
        case literal(String)
        /// The name between the braces.
        case placeholder(String)
    }

    /// Why a text is no template.
    struct Unclosed: Error, Equatable, Sendable {
        /// What follows the brace that is never closed.
        let rest: String
    }

    /// The pieces, in order.
    let parts: [Part]

    /// Takes a text apart. Throws when a brace is never closed.
    init(_ text: String) throws(Unclosed) {
        var parts: [Part] = []
        var literal = ""
        var rest = text[...]
        while let brace = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            let sign = rest[brace]
            literal += rest[..<brace]
            rest = rest[rest.index(after: brace)...]
            if rest.first == sign || sign == "}" {
                literal.append(sign)
                if rest.first == sign { rest = rest.dropFirst() }
                continue
            }
            guard let end = rest.firstIndex(of: "}") else { throw Unclosed(rest: String(rest)) }
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = ""
            parts.append(.placeholder(String(rest[..<end])))
            rest = rest[rest.index(after: end)...]
        }
        literal += rest
        if !literal.isEmpty { parts.append(.literal(literal)) }
        self.parts = parts
    }
}
