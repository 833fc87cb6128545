/// How a cell of a result file and a value of a task's config are compared.
///
/// A number agrees with any spelling of it (`4`, `4.0`, `40e-1`), text with the same bytes, true and false in any case
/// (Python writes `True`), null and a missing member with an empty cell, lists and objects with the same JSON.
/// Numbers with a fraction are compared as the nearest double, as programs print no more of them; whole ones exactly.
enum CellValue {
    /// A form that is the same for all cells that can agree with one value. Cells with one form may still differ:
    /// ask `agrees`.
    static func form(cell: [UInt8]) -> [UInt8] {
        guard let first = cell.first else { return [] }
        if let number = number(cell) { return number }
        switch first {
        case UInt8(ascii: "t"), UInt8(ascii: "T"), UInt8(ascii: "f"), UInt8(ascii: "F"):
            return truth(cell) ?? cell
        case UInt8(ascii: "["), UInt8(ascii: "{"): return PointKey.canonicalValue(cell)
        default: return cell
        }
    }

    /// The form of the cells that agree with a JSON value.
    static func form(json: [UInt8]) -> [UInt8] {
        switch json.first {
        case nil, UInt8(ascii: "n"): []
        case CSVText.quote: form(cell: text(json))
        case UInt8(ascii: "t"), UInt8(ascii: "f"): truth(json) ?? json
        case UInt8(ascii: "["), UInt8(ascii: "{"): PointKey.canonicalValue(json)
        default: number(json) ?? json
        }
    }

    /// Whether a cell agrees with a JSON value.
    static func agrees(_ cell: [UInt8], with json: [UInt8]) -> Bool {
        if json.first == CSVText.quote { return text(json) == cell }
        return form(cell: cell) == form(json: json)
    }

    private static func text(_ json: [UInt8]) -> [UInt8] {
        let raw = json.dropFirst().dropLast()
        guard raw.contains(UInt8(ascii: "\\")) else { return Array(raw) }
        return JSONStringText.decode(raw) ?? Array(raw)
    }

    private static func truth(_ cell: [UInt8]) -> [UInt8]? {
        let lower = cell.map { 65...90 ~= $0 ? $0 | 0x20 : $0 }
        for word in ["true", "false"] where lower.elementsEqual(word.utf8) { return lower }
        return nil
    }

    /// The canonical form of a number in decimal; nil for anything else. Spaces around it do not count; a number with
    /// zeros before it (`007`) is text.
    private static func number(_ cell: [UInt8]) -> [UInt8]? {
        var digits = cell[...]
        while digits.first == 0x20 { digits.removeFirst() }
        while digits.last == 0x20 { digits.removeLast() }
        if digits.first == UInt8(ascii: "+") { digits.removeFirst() }
        guard let first = digits.first, 48...57 ~= first || first == UInt8(ascii: "-") || first == UInt8(ascii: ".")
        else { return nil }
        let unsigned = first == UInt8(ascii: "-") ? digits.dropFirst() : digits
        guard let lead = unsigned.first, 48...57 ~= lead || lead == UInt8(ascii: ".") else { return nil }
        if lead == 48, let second = unsigned.dropFirst().first, 48...57 ~= second { return nil }
        var isWhole = true
        for byte in unsigned where !(48...57 ~= byte) {
            isWhole = false
            switch byte {
            case UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"), UInt8(ascii: "+"), UInt8(ascii: "-"): continue
            default: return nil
            }
        }
        if isWhole { return PointKey.canonicalValue(Array(digits)) }
        guard let double = Double(String(decoding: digits, as: UTF8.self)), double.isFinite else { return nil }
        let exact = PointKey.canonicalValue(Array(digits))
        if exact.first == UInt8(ascii: "d"), !hasFraction(exact) { return exact }
        return PointKey.canonicalValue(Array("\(double)".utf8))
    }

    /// Whether a canonical number has a negative exponent.
    private static func hasFraction(_ canonical: [UInt8]) -> Bool {
        guard let mark = canonical.lastIndex(of: UInt8(ascii: "e")) else { return false }
        return canonical[canonical.index(after: mark)] == UInt8(ascii: "-")
    }
}
