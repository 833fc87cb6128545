import EventLog
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Testing

@testable import manager

/// `/openapi.json` describes what is served, no more and no less.
@Suite("The description of the interface") struct DescriptionTests {
    private func document() throws -> [String: Any] {
        let bytes = Data(PackageResources.openapi_json)
        return try #require(try JSONSerialization.jsonObject(with: bytes) as? [String: Any])
    }

    private func routes() throws -> Set<String> {
        let scratch = try ScratchFolder()
        let logger = Logger(label: "test")
        let service = HTTPService(
            try #require(Endpoint("127.0.0.1:0")), data: DataDirectory(scratch.path),
            options: HTTPService.Options(security: .loopback(logger)), logger: logger)
        return Set(service.router().routes.map { "\($0.method.rawValue) \($0.path)" })
    }

    private func operations() throws -> [String: [String: Any]] {
        let paths = try #require(try document()["paths"] as? [String: [String: [String: Any]]])
        var found: [String: [String: Any]] = [:]
        for (path, methods) in paths {
            for (method, operation) in methods { found["\(method.uppercased()) \(path)"] = operation }
        }
        return found
    }

    @Test func `every route is described, and every description has a route`() throws {
        let described = Set(try operations().keys)
        let served = try routes()
        #expect(served.subtracting(described).isEmpty, "not described: \(served.subtracting(described).sorted())")
        #expect(described.subtracting(served).isEmpty, "not served: \(described.subtracting(served).sorted())")
    }

    @Test func `the role that is described is the one that is asked for`() throws {
        for (call, operation) in try operations() {
            let words = call.split(separator: " ").map(String.init)
            let method = try #require(HTTPRequest.Method(rawValue: words[0]))
            #expect(AccessRules.role(method, words[1])?.rawValue == operation["x-role"] as? String, "\(call)")
        }
    }

    @Test func `what no rule names needs an operator`() {
        #expect(AccessRules.role(.post, "/api/v1/anything") == .operator_)
        #expect(AccessRules.role(.delete, "/api/v1/tasks/{id}") == .operator_)
        #expect(AccessRules.role(.post, "/healthz") == .operator_)
    }

    @Test func `each operation names itself, and what it refers to stands`() throws {
        let text = String(decoding: PackageResources.openapi_json, as: UTF8.self)
        let ids = try operations().values.compactMap { $0["operationId"] as? String }
        #expect(Set(ids).count == ids.count)
        #expect(ids.count == (try operations().count))
        let components = try #require(try document()["components"] as? [String: [String: Any]])
        for match in text.matches(
            of: try Regex("#/components/([a-z]+)/([A-Za-z0-9]+)", as: (Substring, Substring, Substring).self))
        {
            #expect(components[String(match.1)]?[String(match.2)] != nil, "\(match.0)")
        }
    }
}
