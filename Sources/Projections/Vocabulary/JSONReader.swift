/// What is wrong with a JSON text, and at which byte.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, in words.
    public let problem: String
    /// The offset in bytes.
    public let offset: Int

    /// Makes an error.
    public init(_ problem: String, offset: Int) {
        self.problem = problem
        self.offset = offset
    }

    /// The text for people.
    public var description: String { "\(problem) at byte \(offset)" }
}

/// A strict pull reader of JSON (RFC 8259): for everything that comes from outside.
///
/// Refuses what the standard refuses, invalid UTF-8, duplicate keys and more than 64 levels. Reads from memory that
/// must outlive it.
public struct JSONReader {
    /// What kind of value comes next.
    public enum Kind: Sendable, Equatable { case object, array, string, number, bool, null }

    private static let deepest = 64
    private static let noNumber = "NaN and Infinity are no JSON (write null, or leave it out)"

    private let bytes: UnsafeBufferPointer<UInt8>
    /// The offset of the next byte.
    public private(set) var at = 0
    private var depth = 0
    private let isForm: Bool

    /// Reads from the beginning of `bytes`. `formOnly`: only the standard's grammar counts; duplicate keys and lone
    /// surrogates pass. To tell broken JSON from a value that makes no sense.
    public init(_ bytes: UnsafeBufferPointer<UInt8>, formOnly: Bool = false) {
        self.bytes = bytes
        isForm = formOnly
    }

    /// Calls `body` with each key of the object that comes next; it must read the value.
    public mutating func object(
        _ body: (String, inout JSONReader) throws(JSONError) -> Void
    ) throws(JSONError) {
        try open(123, "an object")
        var seen = SeenKeys()
        skipSpace()
        if take(125) { return leave() }
        while true {
            skipSpace()
            let start = at
            let key = try string()
            guard seen.insert(key) || isForm else {
                throw JSONError("the key \"\(key)\" stands twice", offset: start)
            }
            skipSpace()
            guard take(58) else { throw JSONError("a colon is missing", offset: at) }
            try body(key, &self)
            skipSpace()
            if take(125) { return leave() }
            guard take(44) else { throw JSONError("a comma or } is missing", offset: at) }
        }
    }

    /// Calls `body` before each element of the array that comes next; it must read the element.
    public mutating func array(_ body: (inout JSONReader) throws(JSONError) -> Void) throws(JSONError) {
        try open(91, "an array")
        skipSpace()
        if take(93) { return leave() }
        while true {
            try body(&self)
            skipSpace()
            if take(93) { return leave() }
            guard take(44) else { throw JSONError("a comma or ] is missing", offset: at) }
        }
    }

    /// The kind of the value that comes next.
    public mutating func kind() throws(JSONError) -> Kind {
        skipSpace()
        guard at < bytes.count else { throw JSONError("the text ends where a value is due", offset: at) }
        switch bytes[at] {
        case 123: return .object
        case 91: return .array
        case 34: return .string
        case 116, 102: return .bool
        case 110: return .null
        case 45, 48...57: return .number
        case 73, 78: throw JSONError(Self.noNumber, offset: at)
        default: throw JSONError("no JSON value", offset: at)
        }
    }

    /// The string that comes next.
    public mutating func string() throws(JSONError) -> String {
        text(try rawString())
    }

    /// A string's text, its escapes resolved.
    private func text(_ inside: Range<Int>) -> String {
        let raw = UnsafeBufferPointer(rebasing: bytes[inside])
        if raw.contains(92) { return String(decoding: unescapedJSON(raw), as: UTF8.self) }
        return String(decoding: raw, as: UTF8.self)
    }

    /// The whole number that comes next; fractions and numbers beyond 64 bits are errors.
    public mutating func integer() throws(JSONError) -> Int64 {
        let range = try number()
        guard let value = Int64(String(decoding: bytes[range], as: UTF8.self)) else {
            throw JSONError("a whole number is due", offset: range.lowerBound)
        }
        return value
    }

    /// The number that comes next.
    public mutating func double() throws(JSONError) -> Double {
        let range = try number()
        guard let value = Double(String(decoding: bytes[range], as: UTF8.self)), value.isFinite else {
            throw JSONError("the number is out of range", offset: range.lowerBound)
        }
        return value
    }

    /// The truth value that comes next.
    public mutating func bool() throws(JSONError) -> Bool {
        skipSpace()
        if takeWord("true") { return true }
        if takeWord("false") { return false }
        throw JSONError("true or false is due", offset: at)
    }

    /// True when null came next and was taken.
    public mutating func takeNull() -> Bool {
        skipSpace()
        return takeWord("null")
    }

    /// Strings of the array that comes next.
    public mutating func strings() throws(JSONError) -> [String] {
        var texts: [String] = []
        try array { reader throws(JSONError) in texts.append(try reader.string()) }
        return texts
    }

    /// Checks the value that comes next and appends it without insignificant white space.
    public mutating func compact(into out: inout [UInt8]) throws(JSONError) {
        switch try kind() {
        case .object:
            out.append(123)
            var isFirst = true
            try open(123, "an object")
            var seen = SeenKeys()
            skipSpace()
            if !take(125) {
                while true {
                    skipSpace()
                    let inside = try rawString()
                    let key = text(inside)
                    guard seen.insert(key) || isForm else {
                        throw JSONError("the key \"\(key)\" stands twice", offset: inside.lowerBound - 1)
                    }
                    if !isFirst { out.append(44) }
                    isFirst = false
                    out.append(contentsOf: bytes[(inside.lowerBound - 1)...inside.upperBound])
                    skipSpace()
                    guard take(58) else { throw JSONError("a colon is missing", offset: at) }
                    out.append(58)
                    try compact(into: &out)
                    skipSpace()
                    if take(125) { break }
                    guard take(44) else { throw JSONError("a comma or } is missing", offset: at) }
                }
            }
            leave()
            out.append(125)
        case .array:
            out.append(91)
            // Not through `array`: what it lends its body cannot be lent `out` too, and a copy a level costs the square.
            try open(91, "an array")
            skipSpace()
            if !take(93) {
                while true {
                    try compact(into: &out)
                    skipSpace()
                    if take(93) { break }
                    guard take(44) else { throw JSONError("a comma or ] is missing", offset: at) }
                    out.append(44)
                }
            }
            leave()
            out.append(93)
        case .string:
            let inside = try rawString()
            out.append(contentsOf: bytes[(inside.lowerBound - 1)...inside.upperBound])
        case .number: out.append(contentsOf: bytes[try number()])
        case .bool: out.append(contentsOf: try bool() ? "true".utf8 : "false".utf8)
        case .null:
            guard takeNull() else { throw JSONError("no JSON value", offset: at) }
            out.append(contentsOf: "null".utf8)
        }
    }

    /// Checks and passes over the value that comes next.
    public mutating func skip() throws(JSONError) {
        var ignored: [UInt8] = []
        try compact(into: &ignored)
    }

    /// Throws unless only white space is left.
    public mutating func finish() throws(JSONError) {
        skipSpace()
        if at < bytes.count { throw JSONError("there is more behind the value", offset: at) }
    }

    // MARK: - Tokens

    private mutating func open(_ brace: UInt8, _ what: String) throws(JSONError) {
        skipSpace()
        guard take(brace) else { throw JSONError("\(what) is due", offset: at) }
        depth += 1
        if depth > Self.deepest { throw JSONError("more than \(Self.deepest) levels", offset: at) }
    }

    private mutating func leave() { depth -= 1 }

    private mutating func skipSpace() {
        while at < bytes.count, bytes[at] == 32 || bytes[at] == 10 || bytes[at] == 13 || bytes[at] == 9 { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard at + count <= bytes.count, (0..<count).allSatisfy({ bytes[at + $0] == word.utf8Start[$0] }) else {
            return false
        }
        at += count
        return true
    }

    /// The range inside the quotes; checked for escapes, control characters and UTF-8.
    private mutating func rawString() throws(JSONError) -> Range<Int> {
        skipSpace()
        guard take(34) else { throw JSONError("a string is due", offset: at) }
        let start = at
        var hasHighBytes = false
        while at < bytes.count {
            let byte = bytes[at]
            if byte == 34 {
                let inside = start..<at
                if hasHighBytes, String(validating: bytes[inside], as: UTF8.self) == nil {
                    throw JSONError("a string is not UTF-8", offset: start)
                }
                at += 1
                return inside
            }
            if byte < 32 { throw JSONError("a control character inside a string", offset: at) }
            if byte >= 128 { hasHighBytes = true }
            if byte == 92 { try escape() }
            at += 1
        }
        throw JSONError("a string has no end", offset: start - 1)
    }

    private mutating func escape() throws(JSONError) {
        at += 1
        guard at < bytes.count else { throw JSONError("a string has no end", offset: at) }
        switch bytes[at] {
        case 34, 92, 47, 98, 102, 110, 114, 116: return
        case 117:
            guard at + 4 < bytes.count,
                (1...4).allSatisfy({ Character(Unicode.Scalar(bytes[at + $0])).isHexDigit && bytes[at + $0] < 128 })
            else { throw JSONError("\\u needs four hex digits", offset: at) }
            if !isForm { try checkSurrogate() }
            at += 4
        default: throw JSONError("an unknown escape", offset: at)
        }
    }

    /// A high surrogate must be followed by a low one, and no low one may stand alone: it is no character.
    private func checkSurrogate() throws(JSONError) {
        func unit(_ start: Int) -> UInt32? {
            guard start + 4 <= bytes.count else { return nil }
            return UInt32(String(decoding: bytes[start..<(start + 4)], as: UTF8.self), radix: 16)
        }
        guard let value = unit(at + 1), (0xD800..<0xE000).contains(value) else { return }
        if value >= 0xDC00 {
            let isSecond = at >= 7 && bytes[at - 7] == 92 && bytes[at - 6] == 117
            if isSecond, let high = unit(at - 5), (0xD800..<0xDC00).contains(high) { return }
        } else if at + 6 < bytes.count, bytes[at + 5] == 92, bytes[at + 6] == 117, let low = unit(at + 7),
            (0xDC00..<0xE000).contains(low)
        {
            return
        }
        throw JSONError("half of a surrogate pair stands alone", offset: at)
    }

    private mutating func number() throws(JSONError) -> Range<Int> {
        skipSpace()
        let start = at
        _ = take(45)
        guard at < bytes.count, (48...57).contains(bytes[at]) else {
            throw JSONError(at < bytes.count && bytes[at] == 73 ? Self.noNumber : "a number is due", offset: start)
        }
        if bytes[at] == 48 { at += 1 } else { digits() }
        if take(46) {
            guard at < bytes.count, (48...57).contains(bytes[at]) else {
                throw JSONError("a digit is missing", offset: at)
            }
            digits()
        }
        if at < bytes.count, bytes[at] | 32 == 101 {
            at += 1
            if at < bytes.count, bytes[at] == 43 || bytes[at] == 45 { at += 1 }
            guard at < bytes.count, (48...57).contains(bytes[at]) else {
                throw JSONError("a digit is missing", offset: at)
            }
            digits()
        }
        if at < bytes.count, (48...57).contains(bytes[at]) { throw JSONError("a number begins with 0", offset: start) }
        return start..<at
    }

    private mutating func digits() {
        while at < bytes.count, (48...57).contains(bytes[at]) { at += 1 }
    }
}

/// The keys of one object so far: few are compared one by one, which is faster than hashing them.
private struct SeenKeys {
    private static let fewest = 24
    private var few: [String] = []
    private var many: Set<ExactText> = []

    /// False for a key that was there already, byte by byte.
    mutating func insert(_ key: String) -> Bool {
        if !many.isEmpty { return many.insert(ExactText(key)).inserted }
        if few.containsExactly(key) { return false }
        few.append(key)
        if few.count > Self.fewest { many = Set(few.map(ExactText.init)) }
        return true
    }
}
