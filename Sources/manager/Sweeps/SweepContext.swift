import Yams

/// One value of a sweep, as the config holds it.
struct SweepValue: Equatable, Sendable {
    /// What kind of JSON value it is.
    enum Kind: Sendable {
        /// `null`.
        case null
        /// `true` or `false`.
        case boolean
        /// A number.
        case number
        /// A string.
        case string
        /// A list or a mapping.
        case nested
    }

    /// What kind of JSON value it is.
    let kind: Kind
    /// The value as compact JSON.
    let json: [UInt8]
    /// The text that stands for it in a directory's name: a string's text, else the JSON.
    let text: String
    /// The line, from 1.
    let line: Int
}

/// One member of a mapping of a sweep file.
struct SweepEntry {
    /// The key's text.
    let key: String
    /// The key's line, from 1.
    let line: Int
    /// What stands there.
    let value: Node
}

/// What reading a sweep file carries along: its name, the warnings, and how much its values may still grow.
struct SweepContext {
    /// The file's name, for errors and warnings.
    let file: String
    /// The warnings so far, at most `maximumWarnings`.
    private(set) var warnings: [SweepWarning] = []
    /// How many warnings were left out.
    private(set) var warningsLeftOut = 0

    /// How many warnings are kept.
    static let maximumWarnings = 100
    private static let maximumDepth = 100

    /// How many bytes of values may still come: aliases may repeat values, but not multiply them.
    private var bytesLeft: Int

    /// Begins to read a file of so many bytes.
    init(file: String, sizeBytes: Int) {
        self.file = file
        bytesLeft = 4 * sizeBytes + (1 << 20)
    }

    /// The error for a place of this file.
    func refusal(_ code: SweepError.Code, _ line: Int?, _ field: String?, _ problem: String) -> SweepError {
        SweepError(code: code, file: file, line: line, field: field, problem: problem)
    }

    /// Notes a warning.
    mutating func warn(_ line: Int, _ text: String) {
        if warnings.count < Self.maximumWarnings {
            warnings.append(SweepWarning(file: file, line: line, text: text))
        } else {
            warningsLeftOut += 1
        }
    }

    /// The members of a mapping, in order; `<<` brings in those of other mappings, first, where no own key has the
    /// same name. Throws when the node is no mapping.
    mutating func entries(of node: Node, _ field: String, line: Int) throws(SweepError) -> [SweepEntry] {
        try entries(of: node, field, line: line, depth: 0)
    }

    private mutating func entries(
        of node: Node, _ field: String, line: Int, depth: Int
    ) throws(SweepError) -> [SweepEntry] {
        guard case .mapping(let mapping) = node else {
            throw refusal(.wrongType, node.mark?.line ?? line, field, "this must be a mapping, 'key: value' a line")
        }
        let line = mapping.mark?.line ?? line
        try checkTag(mapping.tag, ["", "!", Tag.Name.map.rawValue], line, field)
        try spend(2 + mapping.count, line, field, depth: depth)
        var own: [SweepEntry] = []
        var merged: [SweepEntry] = []
        for (key, value) in mapping {
            guard case .scalar(let scalar) = key else {
                throw refusal(.wrongType, key.mark?.line ?? line, field, "a key must be plain text")
            }
            let keyLine = scalar.mark?.line ?? line
            if scalar.style == .plain, scalar.string == "<<" {
                merged += try mergedEntries(value, field, line: keyLine, depth: depth)
                continue
            }
            // `y` and `n` are keys like others: PyYAML, too, reads them as text, against YAML 1.1.
            if scalar.style == .plain, scalar.string.utf8.count > 1 {
                warnOfOlderReading(scalar.string, keyLine, "the key")
            }
            own.append(SweepEntry(key: scalar.string, line: keyLine, value: value))
        }
        if merged.isEmpty { return own }
        var seen = Set(own.map(\.key))
        return merged.filter { seen.insert($0.key).inserted } + own
    }

    private mutating func mergedEntries(
        _ node: Node, _ field: String, line: Int, depth: Int
    ) throws(SweepError) -> [SweepEntry] {
        guard case .sequence(let list) = node else {
            return try entries(of: node, field, line: line, depth: depth + 1)
        }
        var result: [SweepEntry] = []
        for item in list { result += try entries(of: item, field, line: line, depth: depth + 1) }
        return result
    }

    /// The value of a node, with scalars by the core schema. Throws for what JSON cannot hold.
    mutating func value(of node: Node, _ field: String, line: Int) throws(SweepError) -> SweepValue {
        let line = node.mark?.line ?? line
        if case .scalar(let scalar) = node { return try value(of: scalar, field, line: line) }
        var json: [UInt8] = []
        try append(node, to: &json, field, line: line, depth: 0)
        return SweepValue(kind: .nested, json: json, text: String(decoding: json, as: UTF8.self), line: line)
    }

    private mutating func append(
        _ node: Node, to json: inout [UInt8], _ field: String, line: Int, depth: Int
    ) throws(SweepError) {
        let line = node.mark?.line ?? line
        switch node {
        case .scalar(let scalar):
            json += try value(of: scalar, field, line: line).json
        case .sequence(let list):
            try checkTag(list.tag, ["", "!", Tag.Name.seq.rawValue], line, field)
            try spend(2 + list.count, line, field, depth: depth)
            json.append(UInt8(ascii: "["))
            for (index, item) in list.enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                try append(item, to: &json, field, line: line, depth: depth + 1)
            }
            json.append(UInt8(ascii: "]"))
        case .mapping:
            json.append(UInt8(ascii: "{"))
            for (index, entry) in try entries(of: node, field, line: line, depth: depth).enumerated() {
                if index > 0 { json.append(UInt8(ascii: ",")) }
                try spend(3 + entry.key.utf8.count, line, field, depth: depth)
                JSONStringText.append(entry.key.utf8, to: &json)
                json.append(UInt8(ascii: ":"))
                try append(entry.value, to: &json, field, line: line, depth: depth + 1)
            }
            json.append(UInt8(ascii: "}"))
        case .alias:
            throw refusal(.brokenYAML, line, field, "this alias names nothing")
        }
    }

    private mutating func value(of scalar: Node.Scalar, _ field: String, line: Int) throws(SweepError) -> SweepValue {
        let bytes = Array(scalar.string.utf8)
        try spend(bytes.count + 2, line, field, depth: 0)
        let resolved: CoreSchema
        switch scalar.tag.rawValue {
        case "":
            resolved = scalar.style == .plain || scalar.style == .any ? CoreSchema(bytes) : .text
            if scalar.style == .plain { warnOfOlderReading(scalar.string, line, field) }
        case Tag.Name.str.rawValue, "!": resolved = .text
        case let tag: resolved = try tagged(tag, bytes, field, line: line)
        }
        func plain(_ kind: SweepValue.Kind, _ json: [UInt8]) -> SweepValue {
            SweepValue(kind: kind, json: json, text: String(decoding: json, as: UTF8.self), line: line)
        }
        switch resolved {
        case .null: return plain(.null, Array("null".utf8))
        case .boolean(let value): return plain(.boolean, Array((value ? "true" : "false").utf8))
        case .number(let json): return plain(.number, json)
        case .text:
            var json: [UInt8] = []
            json.reserveCapacity(bytes.count + 2)
            JSONStringText.append(bytes, to: &json)
            return SweepValue(kind: .string, json: json, text: scalar.string, line: line)
        case .notFinite:
            throw refusal(
                .numberOutOfRange, line, field, "\(scalar.string) is no number that JSON can hold; quote it as text")
        case .tooLarge:
            throw refusal(.numberOutOfRange, line, field, "\(scalar.string) does not fit 64 bits; write it in decimal")
        }
    }

    private func tagged(_ tag: String, _ bytes: [UInt8], _ field: String, line: Int) throws(SweepError) -> CoreSchema {
        let resolved = CoreSchema(bytes)
        let isFitting: Bool
        switch (tag, resolved) {
        case (Tag.Name.int.rawValue, .number(let json)): isFitting = !json.contains { [0x2E, 0x45, 0x65].contains($0) }
        case (Tag.Name.float.rawValue, .number), (Tag.Name.bool.rawValue, .boolean), (Tag.Name.null.rawValue, .null),
            (Tag.Name.float.rawValue, .notFinite):
            isFitting = true
        default: isFitting = false
        }
        guard isFitting else {
            let known = [Tag.Name.int, .float, .bool, .null].contains { $0.rawValue == tag }
            let text = String(decoding: bytes.prefix(40), as: UTF8.self)
            throw refusal(
                known ? .badValue : .unknownType, line, field,
                known ? "'\(text)' is no \(tag); take the tag away" : "the type \(tag) is unknown here; take it away")
        }
        return resolved
    }

    private mutating func warnOfOlderReading(_ text: String, _ line: Int, _ field: String) {
        guard let reading = OlderYAML.reading(of: Array(text.utf8)) else { return }
        warn(line, "\(field): '\(text)' is read by YAML 1.2; YAML 1.1 (PyYAML) would read \(reading)")
    }

    private func checkTag(_ tag: Tag, _ known: [String], _ line: Int, _ field: String) throws(SweepError) {
        guard !known.contains(tag.rawValue) else { return }
        throw refusal(.unknownType, line, field, "the type \(tag.rawValue) is unknown here; take it away")
    }

    private mutating func spend(_ bytes: Int, _ line: Int, _ field: String, depth: Int) throws(SweepError) {
        bytesLeft -= bytes
        if depth > Self.maximumDepth {
            throw refusal(.tooLarge, line, field, "nested more than \(Self.maximumDepth) levels deep; flatten it")
        }
        if bytesLeft < 0 {
            throw refusal(
                .tooLarge, line, field,
                "with aliases written out the values are many times the file; write fewer of them")
        }
    }
}
