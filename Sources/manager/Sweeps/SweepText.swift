import Yams

/// The text of a sweep file, made into Yams' tree of nodes.
///
/// Yams hashes the keys of each mapping and recurses over its nodes, and an alias shares the node that it names. So a
/// few hundred bytes of aliases to aliases could stand for a tree that takes hours or overflows the stack: such files
/// are refused by their text, before they are composed.
enum SweepText {
    /// Nesting times anchors, at most: far beyond any sweep, far below what the stack bears.
    private static let maximumLevels = 5000

    /// The root node; nil for a file without any. Broken YAML is a `SweepError` with its line.
    static func compose(_ yaml: [UInt8], file: String) throws(SweepError) -> Node? {
        guard let text = String(validating: yaml, as: UTF8.self) else {
            let line = 1 + validPrefixNewlines(yaml)
            throw SweepError(
                code: .brokenYAML, file: file, line: line, field: nil, problem: "this is no UTF-8; save it as UTF-8")
        }
        try checkAliases(yaml, file: file)
        do {
            // Short strings live on the stack, and libYAML keeps a pointer to the text: these newlines make it long.
            let padded = text.utf8.count < 32 ? text + String(repeating: "\n", count: 32) : text
            return try Parser(yaml: padded, resolver: .basic, encoding: .utf8).singleRoot()
        } catch let error as YamlError {
            throw refusal(error, file: file, lineCount: 1 + yaml.count { $0 == UInt8(ascii: "\n") })
        } catch {
            throw SweepError(code: .brokenYAML, file: file, line: nil, field: nil, problem: "\(error)")
        }
    }

    private static func refusal(_ error: YamlError, file: String, lineCount: Int) -> SweepError {
        func broken(_ problem: String, _ line: Int?) -> SweepError {
            SweepError(
                code: .brokenYAML, file: file, line: line.map { min($0, lineCount) }, field: nil,
                problem: "this is no YAML (\(problem)); mend it")
        }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _):
            return broken(problem, mark.line)
        case .composer(_, let problem, let mark, _):
            if problem.contains("another document") {
                return broken("a second document begins here; a sweep file has one", mark.line)
            }
            return broken(problem, mark.line)
        case .reader(let problem, let offset, _, let yaml):
            return broken(problem, offset.map { 1 + yaml.prefix($0).count { $0.isNewline } })
        case .duplicatedKeysInMapping(let keys, let context):
            let names = keys.map { "'\($0)'" }.joined(separator: ", ")
            return SweepError(
                code: .duplicateKey, file: file, line: context.mark.line, field: nil,
                problem: "\(names) stands more than once in a mapping; keep one")
        default:
            return broken("\(error)", nil)
        }
    }

    private static func validPrefixNewlines(_ bytes: [UInt8]) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var lines = 0
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" { lines += 1 }
        }
        return lines
    }

    /// Refuses files in which aliases could multiply; looks at bytes alone and may count too much inside of strings.
    private static func checkAliases(_ yaml: [UInt8], file: String) throws(SweepError) {
        let shape = TextShape(yaml)
        guard shape.anchors > 0 else { return }
        if let line = shape.collectionKeyLine {
            throw SweepError(
                code: .tooLarge, file: file, line: line, field: nil,
                problem: "in a file with anchors a key is plain text: no list, mapping or alias")
        }
        if shape.depth * (shape.anchors + 1) > maximumLevels {
            throw SweepError(
                code: .tooLarge, file: file, line: nil, field: nil,
                problem: "too many anchors for values nested this deeply; write them out")
        }
    }
}

/// What the bytes of a YAML text show without parsing: an upper bound of its nesting, and its anchors.
private struct TextShape {
    /// Nodes that carry an anchor, or more.
    private(set) var anchors = 0
    /// How deeply nodes may be nested, or more.
    private(set) var depth = 0
    /// The first line with a key that may be a list, a mapping or an alias.
    private(set) var collectionKeyLine: Int?

    init(_ yaml: [UInt8]) {
        guard yaml.contains(UInt8(ascii: "&")) else { return }
        var line = 1
        var indent = 0
        var atLineStart = true
        var flow = 0
        for (index, byte) in yaml.enumerated() {
            let previous = index == 0 ? UInt8(ascii: "\n") : yaml[index - 1]
            switch byte {
            case UInt8(ascii: "\n"):
                line += 1
                indent = 0
                atLineStart = true
                continue
            case UInt8(ascii: " "), UInt8(ascii: "-"):
                if atLineStart { indent += 1 }
                depth = max(depth, flow + indent + 1)
                continue
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                flow += 1
                depth = max(depth, flow + indent + 1)
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                flow = max(0, flow - 1)
                if Self.isKey(yaml, endingAt: index + 1) { collectionKeyLine = collectionKeyLine ?? line }
            case UInt8(ascii: "&") where Self.beginsToken(after: previous):
                anchors += 1
            case UInt8(ascii: "*") where Self.beginsToken(after: previous):
                let end = yaml[index...].firstIndex { Self.endsName($0) } ?? yaml.endIndex
                if Self.isKey(yaml, endingAt: end) { collectionKeyLine = collectionKeyLine ?? line }
            case UInt8(ascii: "?") where atLineStart || flow > 0 && Self.beginsToken(after: previous):
                collectionKeyLine = collectionKeyLine ?? line
            default: break
            }
            atLineStart = false
        }
    }

    private static func beginsToken(after byte: UInt8) -> Bool {
        byte <= UInt8(ascii: " ")
            || [UInt8(ascii: "["), UInt8(ascii: "{"), UInt8(ascii: ","), UInt8(ascii: ":")].contains(byte)
    }

    private static func endsName(_ byte: UInt8) -> Bool {
        byte <= UInt8(ascii: " ")
            || [UInt8(ascii: "]"), UInt8(ascii: "}"), UInt8(ascii: ","), UInt8(ascii: ":")].contains(byte)
    }

    private static func isKey(_ yaml: [UInt8], endingAt end: Int) -> Bool {
        yaml[end...].first { $0 > UInt8(ascii: " ") } == UInt8(ascii: ":")
    }
}
