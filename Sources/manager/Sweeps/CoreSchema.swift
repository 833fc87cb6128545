/// What a plain scalar means by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), and
/// whether YAML 1.1, which PyYAML reads, would mean something else.
///
/// Working on bytes: a sweep may list a million values.
enum CoreSchema: Equatable {
    /// `null`, `~` or nothing.
    case null
    /// `true` or `false`, also `True`, `TRUE` …
    case boolean(Bool)
    /// A number in a spelling that JSON allows: as given where it does, else rewritten.
    case number([UInt8])
    /// `.inf` or `.nan`.
    case notFinite
    /// A hexadecimal or octal number beyond 64 bits.
    case tooLarge
    /// Anything else.
    case text

    /// Resolves the text of a plain scalar.
    init(_ text: [UInt8]) {
        guard let first = text.first else {
            self = .null
            return
        }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            self = Self.numeric(text)
        case UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"), UInt8(ascii: "n"),
            UInt8(ascii: "N"), UInt8(ascii: "~"):
            self = Self.word(text)
        default:
            self = .text
        }
    }

    private static func word(_ text: [UInt8]) -> CoreSchema {
        switch String(decoding: text, as: UTF8.self) {
        case "null", "Null", "NULL", "~": .null
        case "true", "True", "TRUE": .boolean(true)
        case "false", "False", "FALSE": .boolean(false)
        default: .text
        }
    }

    private static func numeric(_ text: [UInt8]) -> CoreSchema {
        if text.count > 2, text[0] == UInt8(ascii: "0") {
            if text[1] == UInt8(ascii: "x") { return whole(text.dropFirst(2), radix: 16) }
            if text[1] == UInt8(ascii: "o") { return whole(text.dropFirst(2), radix: 8) }
        }
        if let number = DecimalSpelling(text) { return .number(number.json) }
        switch String(decoding: text, as: UTF8.self) {
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", ".nan", ".NaN", ".NAN":
            return .notFinite
        default:
            return .text
        }
    }

    /// Digits of radix 8 or 16, without a sign, as the core schema has them.
    private static func whole(_ digits: ArraySlice<UInt8>, radix: UInt64) -> CoreSchema {
        var value: UInt64 = 0
        var fits = true
        for byte in digits {
            guard let digit = hexDigit(byte), UInt64(digit) < radix else { return .text }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: radix)
            fits = fits && !overflow
            value = scaled | UInt64(digit)
        }
        return fits ? .number(Array(String(value).utf8)) : .tooLarge
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// A decimal number of the core schema, in its parts: `[-+]? (\. [0-9]+ | [0-9]+ (\. [0-9]*)?) ([eE] [-+]? [0-9]+)?`.
struct DecimalSpelling {
    private let isNegative: Bool
    private let hasPlus: Bool
    private let whole: ArraySlice<UInt8>
    private let hasPoint: Bool
    private let fraction: ArraySlice<UInt8>
    private let exponent: ArraySlice<UInt8>
    private let text: [UInt8]

    /// Nil when the text is no decimal number.
    init?(_ text: [UInt8]) {
        var at = 0
        func digits() -> ArraySlice<UInt8> {
            let start = at
            while at < text.count, text[at] >= UInt8(ascii: "0"), text[at] <= UInt8(ascii: "9") { at += 1 }
            return text[start..<at]
        }
        isNegative = text.first == UInt8(ascii: "-")
        hasPlus = text.first == UInt8(ascii: "+")
        if isNegative || hasPlus { at = 1 }
        whole = digits()
        hasPoint = at < text.count && text[at] == UInt8(ascii: ".")
        if hasPoint { at += 1 }
        fraction = hasPoint ? digits() : []
        guard !whole.isEmpty || !fraction.isEmpty else { return nil }
        let exponentStart = at
        if at < text.count, text[at] == UInt8(ascii: "e") || text[at] == UInt8(ascii: "E") {
            at += 1
            if at < text.count, text[at] == UInt8(ascii: "-") || text[at] == UInt8(ascii: "+") { at += 1 }
            guard !digits().isEmpty else { return nil }
        }
        exponent = text[exponentStart..<at]
        guard at == text.count else { return nil }
        self.text = text
    }

    /// Leading zeros are no JSON; one zero alone is.
    private var hasLeadingZero: Bool { whole.count > 1 && whole.first == UInt8(ascii: "0") }

    /// The number as JSON: untouched where JSON allows the spelling; `+5` → `5`, `.5` → `0.5`, `5.` → `5.0`,
    /// `007` → `7`.
    var json: [UInt8] {
        if !hasPlus, !whole.isEmpty, !hasLeadingZero, hasPoint != fraction.isEmpty { return text }
        var result: [UInt8] = isNegative ? [UInt8(ascii: "-")] : []
        let significant = whole.drop { $0 == UInt8(ascii: "0") }
        if significant.isEmpty { result.append(UInt8(ascii: "0")) } else { result += significant }
        if hasPoint {
            result.append(UInt8(ascii: "."))
            if fraction.isEmpty { result.append(UInt8(ascii: "0")) } else { result += fraction }
        }
        return result + exponent
    }
}
