import Foundation

/// Compares values with schemas: the part of JSON Schema (2020-12) that the interface's description uses. A keyword
/// that it does not know is a fault too, so that nothing is believed checked which is not.
public struct SchemaCheck: Sendable {
    private static let texts: Set<String> = ["description", "examples", "default", "title", "format"]

    private let document: JSONValue

    /// `document` holds what `$ref` refers to.
    public init(_ document: JSONValue) { self.document = document }

    /// What `$ref` names, else the value itself.
    public func resolved(_ value: JSONValue) -> JSONValue {
        guard let path = value["$ref"]?.text, path.hasPrefix("#/") else { return value }
        return path.dropFirst(2).split(separator: "/").reduce(document) { $0[String($1)] ?? .null }
    }

    /// The faults of a value, each with its place; none where it is as described.
    public func faults(_ value: JSONValue, _ schema: JSONValue, at place: String = "$") -> [String] {
        let schema = resolved(schema)
        if schema == .bool(true) { return [] }
        guard case .object(let keywords) = schema else { return ["\(place): no schema"] }
        return keywords.sorted { $0.key < $1.key }.flatMap { keyword, wanted -> [String] in
            if Self.texts.contains(keyword) { return [] }
            return faults(value, keyword, wanted, keywords, place)
        }
    }

    private func faults(
        _ value: JSONValue, _ keyword: String, _ wanted: JSONValue, _ all: [String: JSONValue], _ place: String
    ) -> [String] {
        func unless(_ holds: Bool?) -> [String] { holds ?? true ? [] : ["\(place): \(keyword) \(wanted): \(value)"] }
        let bound = wanted.numeric ?? 0
        switch keyword {
        case "type":
            let types = wanted.text.map { [$0] } ?? wanted.elements.compactMap(\.text)
            return unless(types.contains { Self.isOf($0, value) })
        case "const": return unless(value == wanted)
        case "enum": return unless(wanted.elements.contains(value))
        case "minimum": return unless(value.numeric.map { $0 >= bound })
        case "maximum": return unless(value.numeric.map { $0 <= bound })
        case "exclusiveMinimum": return unless(value.numeric.map { $0 > bound })
        case "minLength": return unless(value.text.map { Double($0.unicodeScalars.count) >= bound })
        case "maxLength": return unless(value.text.map { Double($0.unicodeScalars.count) <= bound })
        case "pattern":
            guard let text = value.text, let pattern = wanted.text else { return [] }
            return unless(text.range(of: pattern, options: .regularExpression) != nil)
        case "minItems": return unless(Double(value.elements.count) >= bound)
        case "minProperties": return unless(Double(value.members.count) >= bound)
        case "required":
            guard case .object(let members) = value else { return [] }
            return unless(wanted.elements.compactMap(\.text).allSatisfy { members[$0] != nil })
        case "anyOf": return unless(wanted.elements.contains { faults(value, $0, at: place).isEmpty })
        case "items":
            return value.elements.enumerated().flatMap { faults($1, wanted, at: "\(place)[\($0)]") }
        case "properties":
            return wanted.members.flatMap { name, schema in
                value[name].map { faults($0, schema, at: "\(place).\(name)") } ?? []
            }
        case "propertyNames":
            return value.members.keys.flatMap { faults(.string($0), wanted, at: "\(place).\($0)") }
        case "additionalProperties":
            let others = value.members.filter { all["properties"]?[$0.key] == nil }
            if wanted == .bool(false) {
                return others.isEmpty ? [] : ["\(place): not described: \(others.keys.sorted())"]
            }
            return others.flatMap { faults($1, wanted, at: "\(place).\($0)") }
        default: return ["\(place): the keyword \(keyword) is not checked"]
        }
    }

    private static func isOf(_ type: String, _ value: JSONValue) -> Bool {
        switch (type, value) {
        case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object),
            ("integer", .integer), ("number", .integer), ("number", .number):
            true
        case ("integer", .number(let number)): number == number.rounded()
        default: false
        }
    }
}
