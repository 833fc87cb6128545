/// A JSON object that was read strictly: valid by RFC 8259, no key twice in any object, nothing before or behind it.
///
/// For what comes from outside (result files, configs). Numbers, key order and escapes stay as given.
struct StrictJSON: Sendable, Equatable {
    /// One member of the object.
    struct Member: Sendable, Equatable {
        /// The key, with its escapes resolved.
        let name: String
        /// The value's JSON, without insignificant white space.
        let value: [UInt8]
    }

    /// The whole object without insignificant white space.
    let compact: [UInt8]
    /// The top level's members, in order.
    let members: [Member]

    /// Arrays and objects may be nested this deep.
    static let maximumDepth = 256

    /// Reads an object. Throws a `Fault` with the first byte that is wrong.
    init(object bytes: [UInt8]) throws(Fault) {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw Fault(byteOffset: 0, problem: "it is not UTF-8 throughout")
        }
        var reader = Reader(input: bytes)
        try reader.skipSpace()
        guard reader.next == UInt8(ascii: "{") else { throw reader.fault("an object, beginning with {, is wanted") }
        try reader.object(depth: 1, collecting: true)
        try reader.skipSpace()
        guard reader.next == nil else { throw reader.fault("something follows the object") }
        compact = reader.output
        members = reader.members
    }

    /// The value of a top-level key; nil where there is none.
    subscript(name: String) -> [UInt8]? { members.first { $0.name == name }?.value }

    /// A value as text for people and arguments: strings without quotes, all else as its JSON.
    static func text(of value: [UInt8]) -> String {
        value.first == UInt8(ascii: "\"") ? unquoted(value[...]) : String(decoding: value, as: UTF8.self)
    }

    /// A string as a JSON string.
    static func quoted(_ text: String) -> [UInt8] {
        let hex = Array("0123456789abcdef".utf8)
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0x0A: bytes += Array("\\n".utf8)
            case 0..<0x20: bytes += Array("\\u00".utf8) + [hex[Int(byte >> 4)], hex[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        return bytes + [UInt8(ascii: "\"")]
    }

    /// The text of a valid JSON string, quotes included in `quoted`. Half a surrogate pair becomes U+FFFD.
    fileprivate static func unquoted(_ quoted: ArraySlice<UInt8>) -> String {
        let body = quoted.dropFirst().dropLast()
        guard body.contains(UInt8(ascii: "\\")) else { return String(decoding: body, as: UTF8.self) }
        var units: [UInt16] = []
        var iterator = String(decoding: body, as: UTF8.self).utf16.makeIterator()
        while let unit = iterator.next() {
            guard unit == UInt16(UInt8(ascii: "\\")), let escape = iterator.next() else {
                units.append(unit)
                continue
            }
            switch UInt8(truncatingIfNeeded: escape) {
            case UInt8(ascii: "n"): units.append(0x0A)
            case UInt8(ascii: "t"): units.append(0x09)
            case UInt8(ascii: "r"): units.append(0x0D)
            case UInt8(ascii: "b"): units.append(0x08)
            case UInt8(ascii: "f"): units.append(0x0C)
            case UInt8(ascii: "u"):
                let digits = (0..<4).compactMap { _ in iterator.next().flatMap(UnicodeScalar.init).map(Character.init) }
                units.append(UInt16(String(digits), radix: 16) ?? 0xFFFD)
            default: units.append(escape)
            }
        }
        return String(decoding: units, as: UTF16.self)
    }
}

extension StrictJSON {
    /// What is wrong with a text that should be a JSON object.
    struct Fault: Error, Equatable, Sendable, CustomStringConvertible {
        /// Where, counted from 0.
        let byteOffset: Int
        /// What, as part of a sentence.
        let problem: String

        /// One sentence.
        var description: String { "byte \(byteOffset): \(problem)" }
    }
}

/// A recursive descent through the bytes, which copies all but the white space.
private struct Reader {
    let input: [UInt8]
    var position = 0
    var output: [UInt8] = []
    var members: [StrictJSON.Member] = []

    init(input: [UInt8]) {
        self.input = input
        output.reserveCapacity(input.count)
    }

    var next: UInt8? { position < input.count ? input[position] : nil }

    func fault(_ problem: String) -> StrictJSON.Fault {
        StrictJSON.Fault(byteOffset: position, problem: next == nil ? "the text ends too early" : problem)
    }

    mutating func skipSpace() throws(StrictJSON.Fault) {
        while let byte = next, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func take() {
        output.append(input[position])
        position += 1
    }

    mutating func object(depth: Int, collecting: Bool) throws(StrictJSON.Fault) {
        guard depth <= StrictJSON.maximumDepth else { throw fault("it is nested too deep") }
        var names: Set<String> = []
        take()
        try skipSpace()
        if next == UInt8(ascii: "}") { return take() }
        while true {
            guard next == UInt8(ascii: "\"") else { throw fault("a key in double quotes is wanted") }
            let nameStart = output.count
            let keyOffset = position
            try string()
            let name = StrictJSON.unquoted(output[nameStart...])
            guard names.insert(name).inserted else {
                throw StrictJSON.Fault(byteOffset: keyOffset, problem: "the key \"\(name)\" stands there twice")
            }
            try skipSpace()
            guard next == UInt8(ascii: ":") else { throw fault("a : is wanted") }
            take()
            let valueStart = output.count
            try value(depth: depth)
            if collecting { members.append(.init(name: name, value: Array(output[valueStart...]))) }
            if try ended(by: UInt8(ascii: "}")) { return }
            try skipSpace()
        }
    }

    mutating func array(depth: Int) throws(StrictJSON.Fault) {
        guard depth <= StrictJSON.maximumDepth else { throw fault("it is nested too deep") }
        take()
        try skipSpace()
        if next == UInt8(ascii: "]") { return take() }
        repeat { try value(depth: depth) } while try !ended(by: UInt8(ascii: "]"))
    }

    mutating func ended(by close: UInt8) throws(StrictJSON.Fault) -> Bool {
        try skipSpace()
        guard next == UInt8(ascii: ",") || next == close else {
            throw fault("a comma or \(Character(UnicodeScalar(close))) is wanted")
        }
        defer { take() }
        return next == close
    }

    mutating func value(depth: Int) throws(StrictJSON.Fault) {
        try skipSpace()
        switch next {
        case UInt8(ascii: "{"): try object(depth: depth + 1, collecting: false)
        case UInt8(ascii: "["): try array(depth: depth + 1)
        case UInt8(ascii: "\""): try string()
        case UInt8(ascii: "t"): try literal("true")
        case UInt8(ascii: "f"): try literal("false")
        case UInt8(ascii: "n"): try literal("null")
        case let digit? where digit == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit):
            try number()
        case UInt8(ascii: "N"), UInt8(ascii: "I"):
            throw fault("NaN and Infinity are no JSON (write null, or leave it out)")
        default: throw fault("a value is wanted")
        }
    }

    mutating func literal(_ word: String) throws(StrictJSON.Fault) {
        for byte in word.utf8 {
            guard next == byte else { throw fault("a value is wanted") }
            take()
        }
    }

    mutating func string() throws(StrictJSON.Fault) {
        take()
        while let byte = next {
            if byte < 0x20 { throw fault("a control character stands in a string") }
            take()
            if byte == UInt8(ascii: "\"") { return }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escape = next, "\"\\/bfnrtu".utf8.contains(escape) else { throw fault("no such escape") }
            take()
            guard escape == UInt8(ascii: "u") else { continue }
            for _ in 0..<4 {
                guard let digit = next, Character(UnicodeScalar(digit)).isHexDigit else {
                    throw fault("\\u wants four hexadecimal digits")
                }
                take()
            }
        }
        throw fault("the string has no end")
    }

    mutating func number() throws(StrictJSON.Fault) {
        if next == UInt8(ascii: "-") { take() }
        if next == UInt8(ascii: "I") { throw fault("Infinity is no JSON (write null, or leave it out)") }
        if next == UInt8(ascii: "0") {
            take()
        } else {
            try digits()
        }
        if next == UInt8(ascii: ".") {
            take()
            try digits()
        }
        if next == UInt8(ascii: "e") || next == UInt8(ascii: "E") {
            take()
            if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { take() }
            try digits()
        }
        if let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            throw fault("a number has a zero in front")
        }
    }

    mutating func digits() throws(StrictJSON.Fault) {
        let start = position
        while let byte = next, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { take() }
        guard position > start else { throw fault("a digit is wanted") }
    }
}
