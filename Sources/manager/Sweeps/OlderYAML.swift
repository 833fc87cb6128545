/// Where YAML 1.1 (https://yaml.org/type/, as PyYAML reads it) sees another value in a plain scalar than the core
/// schema of YAML 1.2 does. Sweep files that a Python program read before may rely on it.
enum OlderYAML {
    /// What YAML 1.1 would read, as part of a sentence; nil when it reads the same.
    static func reading(of text: [UInt8]) -> String? {
        guard let first = text.first else { return nil }
        switch first {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
            return numeric(text)
        case UInt8(ascii: "y"), UInt8(ascii: "Y"), UInt8(ascii: "n"), UInt8(ascii: "N"), UInt8(ascii: "o"),
            UInt8(ascii: "O"):
            return word(text)
        default:
            return nil
        }
    }

    private static func word(_ text: [UInt8]) -> String? {
        switch String(decoding: text, as: UTF8.self) {
        case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON": "true"
        case "n", "N", "no", "No", "NO", "off", "Off", "OFF": "false"
        default: nil
        }
    }

    private static func numeric(_ text: [UInt8]) -> String? {
        let isSigned = text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+")
        let body = isSigned ? text.dropFirst() : text[...]
        guard let first = body.first else { return nil }
        if first == UInt8(ascii: "0"), body.count > 1, let reading = prefixed(body, isSigned: isSigned) {
            return reading
        }
        if body.contains(UInt8(ascii: ":")) { return isSexagesimal(body) ? "a number in base 60" : timestamp(text) }
        if body.contains(UInt8(ascii: "_")) {
            let bare = body.filter { $0 != UInt8(ascii: "_") }
            return first != UInt8(ascii: "_") && DecimalSpelling(bare) != nil ? "a number without the underscores" : nil
        }
        if let reading = timestamp(text) { return reading }
        guard DecimalSpelling(text) != nil, let mark = body.firstIndex(where: { $0 | 0x20 == UInt8(ascii: "e") }) else {
            return nil
        }
        let sign = body[mark + 1]
        let isOlderFloat =
            body[..<mark].contains(UInt8(ascii: ".")) && (sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+"))
        return isOlderFloat ? nil : "text, as it wants a point before and a sign after the e"
    }

    /// `0x…`, `0b…`, `0o…` and octal numbers by a leading zero.
    private static func prefixed(_ body: ArraySlice<UInt8>, isSigned: Bool) -> String? {
        let rest = body.dropFirst(2)
        switch body[body.startIndex + 1] {
        case UInt8(ascii: "x"):
            guard isSigned || rest.contains(UInt8(ascii: "_")), !rest.isEmpty else { return nil }
            return rest.allSatisfy(isHexOrUnderscore) ? "a hexadecimal number" : nil
        case UInt8(ascii: "b"):
            return !rest.isEmpty && rest.allSatisfy { $0 == 48 || $0 == 49 || $0 == 95 } ? "a binary number" : nil
        case UInt8(ascii: "o"):
            return !rest.isEmpty && rest.allSatisfy { 48...55 ~= $0 } && !isSigned ? "text" : nil
        default:
            let digits = body.dropFirst()
            if digits.allSatisfy({ 48...55 ~= $0 || $0 == 95 }) {
                let significant = digits.drop { $0 == 48 || $0 == 95 }
                return significant.count > 1 || digits.contains(95) ? "an octal number" : nil
            }
            return digits.allSatisfy { 48...57 ~= $0 } ? "text" : nil
        }
    }

    private static func isHexOrUnderscore(_ byte: UInt8) -> Bool {
        48...57 ~= byte || 65...70 ~= byte || 97...102 ~= byte || byte == 95
    }

    /// `[1-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?`
    private static func isSexagesimal(_ body: ArraySlice<UInt8>) -> Bool {
        let whole = body.prefix { $0 != UInt8(ascii: ".") }
        guard body.dropFirst(whole.count).dropFirst().allSatisfy({ 48...57 ~= $0 || $0 == 95 }) else { return false }
        let parts = whole.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard let head = parts.first?.first, 48...57 ~= head else { return false }
        return parts[0].allSatisfy { 48...57 ~= $0 || $0 == 95 }
            && parts.dropFirst().allSatisfy { part in
                (1...2 ~= part.count) && part.allSatisfy { 48...57 ~= $0 } && (part.count == 1 || part.first ?? 0 <= 53)
            }
    }

    /// `2001-12-14` and `2001-12-14 21:59:43`; the form only, as no date is made of it.
    private static func timestamp(_ text: [UInt8]) -> String? {
        guard text.count >= 8, text[..<4].allSatisfy({ 48...57 ~= $0 }), text[4] == UInt8(ascii: "-") else {
            return nil
        }
        let date = text.prefix { 48...57 ~= $0 || $0 == UInt8(ascii: "-") }
        let parts = date.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ !$0.isEmpty }), parts[1].count <= 2, parts[2].count <= 2 else {
            return nil
        }
        if date.count == text.count { return text.count == 10 ? "a date" : nil }
        let mark = text[date.count]
        let isTime = mark | 0x20 == UInt8(ascii: "t") || mark == UInt8(ascii: " ")
        return isTime && text[date.count...].contains(UInt8(ascii: ":")) ? "a date with a time" : nil
    }
}
