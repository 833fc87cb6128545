import Foundation
import TestSupport
import Testing

/// The interface's description as it stands in the sources, to compare answers with.
struct InterfaceDescription: Sendable {
    /// One call of the interface.
    struct Operation: Sendable {
        let id: String
        let method: String
        /// With `{id}` where a name stands.
        let path: String
        /// The role that it needs; nil where it needs none.
        let role: String?
        /// By status.
        let responses: [String: JSONValue]
    }

    /// The one description.
    static let shared = InterfaceDescription()

    let operations: [Operation]
    private let check: SchemaCheck

    private init() {
        let path = URL(fileURLWithPath: DataFiles.fixtures).deletingLastPathComponent()
            .appendingPathComponent("Sources/manager/HTTP/Description/openapi.json")
        let document: JSONValue
        do { document = try JSONDecoder().decode(JSONValue.self, from: Data(contentsOf: path)) } catch {
            preconditionFailure("the description cannot be read: \(error)")
        }
        check = SchemaCheck(document)
        operations = (document["paths"] ?? .null).members.flatMap { path, methods in
            methods.members.map { method, operation in
                Operation(
                    id: operation["operationId"]?.text ?? "", method: method.uppercased(), path: path,
                    role: operation["x-role"]?.text, responses: operation["responses"]?.members ?? [:])
            }
        }.sorted { $0.id < $1.id }
    }

    /// The call that a request is; nil where there is none of that method and path.
    func operation(_ method: String, _ path: String) -> Operation? {
        func words(_ path: some StringProtocol) -> [Substring] {
            Substring(path).prefix { $0 != "?" }.split(separator: "/", omittingEmptySubsequences: false)
        }
        let asked = words(path)
        return operations.filter { operation in
            let described = words(operation.path)
            return operation.method == method && described.count == asked.count
                && zip(described, asked).allSatisfy { $0 == $1 || $0.hasPrefix("{") }
        }.min { $0.path.count { $0 == "{" } < $1.path.count { $0 == "{" } }
    }

    /// In what an answer is not as described; none where it is.
    func faults(_ method: String, _ path: String, _ answer: HTTPCaller.Answer) -> [String] {
        guard let operation = operation(method, path) else { return unknown(answer) }
        guard let response = operation.responses[String(answer.status)].map({ check.resolved($0) }) else {
            return ["\(answer.status) is not described"]
        }
        var faults = (response["headers"] ?? .null).members.compactMap { name, header -> String? in
            guard let text = answer.headers[name.lowercased()] else {
                return header["required"] == .bool(false) ? nil : "the header \(name) is missing"
            }
            let value = Int64(text).map { JSONValue.integer($0) } ?? .string(text)
            return check.faults(value, header["schema"] ?? .null, at: name).first
        }
        let content = (response["content"] ?? .null).members
        guard !content.isEmpty else { return faults + (answer.body.isEmpty ? [] : ["a body is not described"]) }
        let type = String((answer.headers["content-type"] ?? "").prefix { $0 != ";" })
        guard let schema = content[type]?["schema"] else { return faults + ["the type \(type) is not described"] }
        guard type.hasSuffix("json"), !type.hasSuffix("ndjson") else { return faults }
        do {
            let value = try JSONDecoder().decode(JSONValue.self, from: Data(answer.body.utf8))
            faults += check.faults(value, schema)
        } catch { faults.append("the body is no JSON: \(error)") }
        return faults
    }

    /// A path or method that there is not is refused in the form of every error.
    private func unknown(_ answer: HTTPCaller.Answer) -> [String] {
        let isProblem = answer.headers["content-type"] == "application/problem+json"
        return answer.status >= 400 && isProblem ? [] : ["a call that is not described was answered"]
    }
}
