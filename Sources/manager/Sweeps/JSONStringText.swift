/// JSON strings (RFC 8259): written, and read back.
enum JSONStringText {
    private static let hexDigits = Array("0123456789abcdef".utf8)

    /// Adds the text as a JSON string with its quotes; only what must be escaped is.
    static func append(_ text: some Sequence<UInt8>, to json: inout [UInt8]) {
        json.append(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                json.append(UInt8(ascii: "\\"))
                json.append(byte)
            case 0x0A: json += [UInt8(ascii: "\\"), UInt8(ascii: "n")]
            case 0x0D: json += [UInt8(ascii: "\\"), UInt8(ascii: "r")]
            case 0x09: json += [UInt8(ascii: "\\"), UInt8(ascii: "t")]
            case 0..<0x20:
                json += Array("\\u00".utf8)
                json.append(hexDigits[Int(byte >> 4)])
                json.append(hexDigits[Int(byte & 15)])
            default: json.append(byte)
            }
        }
        json.append(UInt8(ascii: "\""))
    }

    /// The text of a JSON string given without its quotes, as UTF-8; nil where an escape is broken. Half a surrogate
    /// pair becomes U+FFFD.
    static func decode(_ raw: some Collection<UInt8>) -> [UInt8]? {
        var text: [UInt8] = []
        text.reserveCapacity(raw.count)
        var rest = raw[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                text.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\""): text.append(UInt8(ascii: "\""))
            case UInt8(ascii: "\\"): text.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "/"): text.append(UInt8(ascii: "/"))
            case UInt8(ascii: "b"): text.append(0x08)
            case UInt8(ascii: "f"): text.append(0x0C)
            case UInt8(ascii: "n"): text.append(0x0A)
            case UInt8(ascii: "r"): text.append(0x0D)
            case UInt8(ascii: "t"): text.append(0x09)
            case UInt8(ascii: "u"):
                guard let scalar = escapedScalar(&rest) else { return nil }
                text += Array(String(Character(scalar)).utf8)
            default: return nil
            }
        }
        return text
    }

    /// The four digits after `\u`, and the second half of a pair where one follows; nil where a digit is none.
    private static func escapedScalar<Slice: Collection<UInt8>>(_ rest: inout Slice) -> Unicode.Scalar?
    where Slice.SubSequence == Slice {
        escapedUnit(&rest).map { unit in
            guard 0xD800...0xDBFF ~= unit else { return Unicode.Scalar(unit) ?? "\u{FFFD}" }
            var ahead = rest
            guard ahead.popFirst() == UInt8(ascii: "\\"), ahead.popFirst() == UInt8(ascii: "u"),
                let second = escapedUnit(&ahead), 0xDC00...0xDFFF ~= second
            else { return "\u{FFFD}" }
            rest = ahead
            return Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00)) ?? "\u{FFFD}"
        }
    }

    private static func escapedUnit<Slice: Collection<UInt8>>(_ rest: inout Slice) -> UInt32?
    where Slice.SubSequence == Slice {
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = rest.popFirst(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                return nil
            }
            unit = unit << 4 | UInt32(digit)
        }
        return unit
    }
}
