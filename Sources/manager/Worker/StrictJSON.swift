import Projections

/// A JSON object from outside (a result file, a config), read as strictly as all that comes in: see `JSONReader`.
///
/// Numbers, key order and escapes stay as given.
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

    /// Reads an object. Throws with the first byte that is wrong.
    init(object bytes: [UInt8]) throws(JSONError) {
        compact = try bytes.withUnsafeBufferPointer { bytes throws(JSONError) in
            var reader = JSONReader(bytes)
            var compact: [UInt8] = []
            guard try reader.kind() == .object else {
                throw JSONError("an object, beginning with {, is due", offset: reader.at)
            }
            try reader.compact(into: &compact)
            try reader.finish()
            return compact
        }
        members = try compact.withUnsafeBufferPointer { bytes throws(JSONError) in
            var reader = JSONReader(bytes)
            var members: [Member] = []
            try reader.object { name, reader throws(JSONError) in
                var value: [UInt8] = []
                try reader.compact(into: &value)
                members.append(Member(name: name, value: value))
            }
            return members
        }
    }

    /// The value of a top-level key; nil where there is none.
    subscript(name: String) -> [UInt8]? { members.first { $0.name == name }?.value }

    /// A value as text for people and arguments: strings without quotes, all else as its JSON.
    static func text(of value: [UInt8]) -> String {
        guard value.first == UInt8(ascii: "\"") else { return String(decoding: value, as: UTF8.self) }
        return value.withUnsafeBufferPointer {
            String(decoding: unescapedJSON(UnsafeBufferPointer(rebasing: $0.dropFirst().dropLast())), as: UTF8.self)
        }
    }

    /// A string as a JSON string.
    static func quoted(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        appendJSONString(text, to: &bytes)
        return bytes
    }
}
