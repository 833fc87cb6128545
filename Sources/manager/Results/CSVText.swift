/// Writes CSV (RFC 4180): fields with quotes only where a comma, a quote or a line end needs them.
enum CSVText {
    /// `,`
    static let comma = UInt8(ascii: ",")
    /// `"`
    static let quote = UInt8(ascii: "\"")
    /// LF, which ends the rows of files that we make: `tail`, `wc` and `cut` see no other sign.
    static let newline = UInt8(ascii: "\n")
    /// CR, which stands before LF in files of some makers.
    static let carriageReturn = UInt8(ascii: "\r")

    /// Adds one field.
    static func appendField(_ value: some Collection<UInt8>, to text: inout [UInt8]) {
        let needsQuotes = value.contains { $0 == comma || $0 == quote || $0 == newline || $0 == carriageReturn }
        guard needsQuotes else {
            text.append(contentsOf: value)
            return
        }
        text.append(quote)
        for byte in value {
            if byte == quote { text.append(quote) }
            text.append(byte)
        }
        text.append(quote)
    }

    /// Adds a row of values and its line end.
    static func appendRow(_ values: [[UInt8]], lineEnd: [UInt8] = [newline], to text: inout [UInt8]) {
        for (index, value) in values.enumerated() {
            if index > 0 { text.append(comma) }
            appendField(value, to: &text)
        }
        text += lineEnd
    }

    /// Adds one field for a JSON value: text as text, null as nothing, all else as it stands.
    static func appendField(json value: ArraySlice<UInt8>, to text: inout [UInt8]) {
        switch value.first {
        case UInt8(ascii: "n"): break
        case quote:
            let raw = value.dropFirst().dropLast()
            if raw.contains(UInt8(ascii: "\\")), let decoded = JSONStringText.decode(raw) {
                appendField(decoded, to: &text)
            } else {
                appendField(raw, to: &text)
            }
        default: appendField(value, to: &text)
        }
    }
}
